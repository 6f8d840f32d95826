import type { Writable } from 'node:stream';
import { limits } from '../limits.ts';
import { formatMessage } from '../pt/encode.ts';
import type { Message } from '../pt/messages.ts';
import { LogQueue, type LogEntry } from './log-queue.ts';

/**
 * What the parent hears: one write for each line, each line whole (PT 3.3).
 *
 * Protocol lines are never dropped. LOG lines wait until the start-up is reported, so that it stays
 * the sequence that the specification gives, and yield when the parent does not read.
 */
export class Reporter {
  readonly #stdout: Writable;
  readonly #logs: LogQueue;
  readonly #broken = new AbortController();

  constructor(stdout: Writable) {
    this.#stdout = stdout;
    this.#logs = new LogQueue((entry) => this.#write({ kind: 'LOG', ...entry }));
    stdout.on('error', () => this.#broken.abort());
  }

  /** Aborted when nobody can read stdout any more: the parent has gone. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /**
   * Writes a protocol line.
   *
   * @throws PosternError `ERR_PT_MESSAGE`, `ERR_PT_SMETHOD_ARGS` when no line can carry it
   */
  report(message: Exclude<Message, { kind: 'LOG' }>): void {
    void this.#write(message);
  }

  /** A sink for log entries. */
  log(entry: LogEntry): void {
    this.#logs.push(entry);
  }

  /** The start-up is reported: lets LOG lines through. */
  startLogging(): void {
    this.#logs.open();
  }

  /**
   * Resolves when every protocol line is out, and the LOG lines too unless the parent is slow to
   * read. The process must not be ended by force before this.
   */
  async flush(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limits.finalLogFlushMs);
    });
    await Promise.race([this.#logs.idle(), patience]);
    clearTimeout(timer);
    if (this.#stdout.writable) await new Promise<void>((resolve) => this.#whenWritten(resolve));
  }

  #whenWritten(resolve: () => void): void {
    // The callback of a write comes after those of all writes before it, also when it failed.
    this.#stdout.write('', () => resolve());
  }

  #write(message: Message): Promise<void> {
    const line = `${formatMessage(message)}\n`;
    if (!this.#stdout.writable) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stdout.write(line, () => resolve());
    });
  }
}
