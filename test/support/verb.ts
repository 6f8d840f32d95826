/** The command as a process of its own, as a person would start it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ProcessEnd } from './logged-process.ts';
import { postern, type Cleanup } from './pt-programs.ts';

/** A command that runs. */
export interface RunningVerb {
  readonly pid: number;
  /** All that it has printed so far, on stdout and stderr. */
  readonly printed: string;
  /** Resolves when it has ended and its pipes are at their end. */
  readonly ended: Promise<ProcessEnd>;
  /** The first match in what it has printed, as soon as it is there. */
  match(pattern: RegExp): Promise<RegExpExecArray>;
  send(signal: NodeJS.Signals): void;
  /** Sends SIGTERM, or what is asked for, and resolves with the exit code; null when that was a kill. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts `postern` with arguments, until the test has ended.
 *
 * @param launcher a command that becomes the one behind it
 */
export function startVerb(
  t: Cleanup,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  launcher: readonly string[] = [],
): RunningVerb {
  const [file, ...rest] = [...launcher, ...postern.command, ...args];
  // The tests themselves may run under nohup.
  const child = spawn(file!, rest, {
    env: { ...env, _: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close').then(([exitCode, signal]): ProcessEnd => ({
    exitCode: exitCode as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  let printed = '';
  const add = (text: Buffer): void => {
    printed += String(text);
    child.emit('printed');
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal);
    return (await ended).exitCode;
  };
  t.after(async () => void (await stop()));
  return {
    pid: child.pid!,
    get printed() {
      return printed;
    },
    ended,
    stop,
    send: (signal) => void child.kill(signal),
    async match(pattern) {
      for (;;) {
        const found = pattern.exec(printed);
        if (found !== null) return found;
        if (child.exitCode !== null)
          throw new Error(`ended without ${String(pattern)}: ${printed}`);
        await Promise.race([once(child, 'printed'), ended]);
      }
    },
  };
}
