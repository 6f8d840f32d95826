/** The command as a process of its own, as a person would start it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { postern, type Cleanup } from './pt-programs.ts';

/** A command that runs. */
export interface RunningVerb {
  /** The first match in what it has printed, on stdout or stderr, as soon as it is there. */
  match(pattern: RegExp): Promise<RegExpExecArray>;
  /** Sends SIGTERM, or what is asked for, and resolves with the exit code; null when that was a kill. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts `postern` with arguments, until the test has ended. */
export function startVerb(t: Cleanup, args: readonly string[]): RunningVerb {
  const [file, ...first] = postern.command;
  const child = spawn(file, [...first, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close') as Promise<[number | null]>;
  let printed = '';
  const add = (text: Buffer): void => {
    printed += String(text);
    child.emit('printed');
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal);
    const [exitCode] = await closed;
    return exitCode;
  };
  t.after(async () => void (await stop()));
  return {
    stop,
    async match(pattern) {
      for (;;) {
        const found = pattern.exec(printed);
        if (found !== null) return found;
        if (child.exitCode !== null)
          throw new Error(`ended without ${String(pattern)}: ${printed}`);
        await Promise.race([once(child, 'printed'), closed]);
      }
    },
  };
}
