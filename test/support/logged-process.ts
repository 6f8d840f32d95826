/** A child process whose stdout is a log: read line by line as it is written. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { addAbortListener } from 'node:events';
import { createInterface } from 'node:readline';

/** How many lines of a log an error shows. */
const LAST_LINES = 15;

/** How a process has ended: one of the two is null. */
export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What to wait for, and for how long. */
export interface LineOptions {
  /** How many of the first lines do not count: `log.length`, for what comes from now on. */
  readonly from?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A process that runs, or has run. */
export class LoggedProcess {
  /** What errors call it. */
  readonly name: string;
  readonly process: ChildProcess;
  readonly log: string[] = [];
  /** Resolves when it has ended. */
  readonly ended: Promise<ProcessEnd>;
  readonly #waiting: Set<() => void> = new Set();
  #logEnded = false;

  /** @param stdio with a pipe for stdout */
  constructor(
    name: string,
    command: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
    stdio: StdioOptions = ['ignore', 'pipe', 'inherit'],
  ) {
    this.name = name;
    const [file, ...args] = command;
    this.process = spawn(file!, args, { env, stdio });
    this.ended = new Promise((resolve) => {
      this.process.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
    const reader = createInterface({ input: this.process.stdout! });
    reader.on('line', (line) => {
      this.log.push(line);
      this.#wake();
    });
    reader.on('close', () => {
      this.#logEnded = true;
      this.#wake();
    });
  }

  /**
   * The first line that matches, as soon as it is there.
   *
   * @throws Error with the name and the last lines, when the process ends before, or the signal is aborted
   */
  async line(pattern: RegExp, { from = 0, signal }: LineOptions = {}): Promise<RegExpExecArray> {
    using _ = signal && addAbortListener(signal, () => this.#wake());
    for (let index = from; ; index++) {
      while (index >= this.log.length) {
        if (this.#logEnded) throw this.#failure('ended', pattern);
        if (signal?.aborted) throw this.#failure('took too long', pattern);
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
      const match = pattern.exec(this.log[index]!);
      if (match !== null) return match;
    }
  }

  /** Ends it at once, and resolves when it has ended. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  #failure(what: string, pattern: RegExp): Error {
    const last = this.log.slice(-LAST_LINES).join('\n');
    return new Error(`${this.name} ${what} without ${String(pattern)}. Its last lines:\n${last}`);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
