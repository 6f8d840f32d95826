import type { Writable } from 'node:stream';
import { limits } from '../limits.ts';
import { formatMessage } from '../pt/encode.ts';
import type { Message } from '../pt/messages.ts';
import { LogQueue, type LogEntry } from './log-queue.ts';
import { unawaited } from '../unawaited.ts';

/**
 * What the parent hears, in whole lines (PT 3.3): one write for each protocol line, and one for all the
 * LOG lines that wait.
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
    this.#logs = new LogQueue((entries) =>
      this.#write(...entries.map((entry) => ({ kind: 'LOG', ...entry }) as const)),
    );
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
    const line = `${formatMessage(message)}\n`;
    unawaited(() => this.#writeText(line));
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
   * Resolves when every line is out; once `now` is aborted, a parent that does not read gets a moment and
   * no more. Before that the process must not be ended.
   */
  async flush(now: AbortSignal): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const impatient = new Promise<void>((resolve) => {
      const wait = (): void => {
        timer = setTimeout(resolve, limits.finalFlushMs);
      };
      if (now.aborted) wait();
      else now.addEventListener('abort', wait, { once: true });
    });
    // The callback of a write comes after those of all writes before it, also when it failed.
    await Promise.race([this.#logs.idle().then(() => this.#writeText('')), impatient]);
    clearTimeout(timer);
  }

  #write(...messages: readonly Message[]): Promise<void> {
    return this.#writeText(messages.map((message) => `${formatMessage(message)}\n`).join(''));
  }

  #writeText(text: string): Promise<void> {
    if (!this.#stdout.writable) return Promise.resolve();
    return new Promise((resolve) => this.#stdout.write(text, () => resolve()));
  }
}
