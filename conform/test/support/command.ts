/** The command, run inside the test's own process. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { runConform } from '../../src/cli/program.ts';

/** A command that runs, or that has run. */
export interface RunningCommand {
  readonly exitCode: Promise<number>;
  readonly stdout: Printed;
  readonly stderr: Printed;
  /** Ctrl-C. */
  stop(): void;
}

/** Starts `postern-conform` with arguments. */
export function startCommand(args: readonly string[]): RunningCommand {
  const [stdout, stderr, stop] = [new Printed(), new Printed(), new AbortController()];
  const exitCode = runConform({ args, env: {}, stdout, stderr, signal: stop.signal });
  return { exitCode, stdout, stderr, stop: () => stop.abort() };
}

/** What a command prints: all of it so far, and the arrival of what is waited for. */
class Printed extends PassThrough {
  text = '';
  readonly isTTY?: boolean;

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
