/** A tor as a child process: a torrc in, its log out, line by line as it is written. */
import { spawn, type ChildProcess } from 'node:child_process';
import { addAbortListener, once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { peerProgram } from './peers.ts';

const tor = peerProgram('tor');

/** For `skip` of a test: why it cannot run, or false. */
export const torMissing: string | false = tor === undefined ? 'tor is not installed' : false;

/** How many lines of a log an error shows. */
const LAST_LINES = 15;

/** A tor that runs, or has run. */
export class TorProcess {
  /** What errors call it. */
  readonly name: string;
  readonly dataDirectory: string;
  readonly process: ChildProcess;
  readonly log: string[] = [];
  readonly #ended: Promise<unknown>;
  readonly #waiting: Set<() => void> = new Set();
  #logEnded = false;

  /** @param dataDirectory - made when it is missing; with the torrc in it */
  constructor(name: string, dataDirectory: string, torrc: readonly string[]) {
    this.name = name;
    this.dataDirectory = dataDirectory;
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
    this.#writeTorrc(torrc);
    this.process = spawn(tor!, ['--defaults-torrc', '/dev/null', '-f', this.#torrcPath], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#ended = once(this.process, 'exit');
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
   * @throws Error with the name and the last lines, when tor ends before or the signal is aborted
   */
  async line(pattern: RegExp, signal?: AbortSignal): Promise<RegExpExecArray> {
    using _ = signal && addAbortListener(signal, () => this.#wake());
    for (let index = 0; ; index++) {
      while (index === this.log.length) {
        if (this.#logEnded) throw this.#failure('ended', pattern);
        if (signal?.aborted) throw this.#failure('took too long', pattern);
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
      const match = pattern.exec(this.log[index]!);
      if (match !== null) return match;
    }
  }

  /** Lets it read another torrc. */
  reload(torrc: readonly string[]): void {
    this.#writeTorrc(torrc);
    this.process.kill('SIGHUP');
  }

  /** Ends it at once, and resolves when it has ended. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.#ended;
  }

  get #torrcPath(): string {
    return join(this.dataDirectory, 'torrc');
  }

  #writeTorrc(torrc: readonly string[]): void {
    const lines = [
      `DataDirectory ${this.dataDirectory}`,
      // It looks now and then whether we live, and ends when we do not: also after our own SIGKILL.
      `__OwningControllerProcess ${process.pid}`,
      // What tor says about its pluggable transports and as an authority, whole; of the rest what matters.
      'Log [pt,dirserv]info notice stdout',
      'NumCPUs 1',
      // Reading the real tables takes longer than all the rest of a start.
      'GeoIPFile /dev/null',
      'GeoIPv6File /dev/null',
      ...torrc,
    ];
    writeFileSync(this.#torrcPath, `${lines.join('\n')}\n`);
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
