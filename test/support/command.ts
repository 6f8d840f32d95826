/** The command, run inside the test's own process. */
import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { RequestSignal } from '../../src/cli/context.ts';
import { runCommand } from '../../src/cli/program.ts';
import { postern } from './pt-programs.ts';

/** A command that runs, or that has run. */
export interface RunningCommand {
  readonly exitCode: Promise<number>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** The first Ctrl-C. */
  drain(): void;
  /** SIGTERM, or the second Ctrl-C. */
  stop(): void;
  /** A signal that asks for something else than the end. */
  send(signal: RequestSignal): void;
}

/** Starts `postern` with arguments; nothing of the test's environment is passed on but what is given. */
export function startCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningCommand {
  const stdout = new Output();
  const stderr = new Output();
  const drain = new AbortController();
  const now = new AbortController();
  const signals = new EventEmitter();
  const exitCode = runCommand({
    args,
    env,
    stdin: new PassThrough(),
    stdout,
    stderr,
    stop: { drain: drain.signal, now: now.signal, endNow: (why) => now.abort(why) },
    parentPid: () => 1,
    ownCommand: postern.command,
    onSignal: (signal, listener) => {
      signals.on(signal, listener);
      return () => void signals.off(signal, listener);
    },
  });
  return {
    exitCode,
    stdout,
    stderr,
    drain: () => drain.abort(),
    stop() {
      drain.abort();
      now.abort();
    },
    send: (signal) => void signals.emit(signal),
  };
}

/** What a command prints: all of it so far, and the arrival of what is waited for. */
export class Output extends PassThrough {
  text = '';

  constructor() {
    super({ encoding: 'utf8' });
    this.on('data', (chunk: string) => (this.text += chunk));
  }

  /** The first match of `pattern`, which may have been printed already. */
  async match(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found !== null) return found;
      await once(this, 'data');
    }
  }
}
