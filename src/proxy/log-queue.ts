import { limits } from '../limits.ts';
import type { LogSeverity } from '../pt/messages.ts';

/** One line of a log. */
export interface LogEntry {
  readonly severity: LogSeverity;
  readonly text: string;
}

/**
 * Log entries on their way to something slow: a parent that may not read, a disk that may be full.
 *
 * What has gathered while one write was under way goes out in the next, and past the limit new entries
 * are dropped and counted: a log must never hold up traffic, nor grow without end (a parent that does
 * not drain its child's stdout has stalled whole proxies: tor bug 26360).
 */
export class LogQueue {
  readonly #write: (entries: readonly LogEntry[]) => Promise<void>;
  #entries: LogEntry[] = [];
  #dropped = 0;
  #isOpen = false;
  #isWriting = false;
  #running: Promise<void> = Promise.resolve();

  /** @param write hands entries on, at least one; may not reject */
  constructor(write: (entries: readonly LogEntry[]) => Promise<void>) {
    this.#write = write;
  }

  /** Takes an entry, or counts it as dropped. */
  push(entry: LogEntry): void {
    if (this.#entries.length >= limits.logBacklogLines) this.#dropped += 1;
    else this.#entries.push(entry);
    this.#pump();
  }

  /** Lets entries through from now on; until then they wait. */
  open(): void {
    this.#isOpen = true;
    this.#pump();
  }

  /** Resolves when nothing waits any more. */
  idle(): Promise<void> {
    return this.#running;
  }

  #pump(): void {
    if (!this.#isOpen || this.#isWriting || this.#entries.length === 0) return;
    this.#isWriting = true;
    this.#running = this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    while (this.#entries.length > 0) await this.#write(this.#take());
    // In the same turn as the look at the empty list: no entry can slip in between.
    this.#isWriting = false;
  }

  /** All that waits, and how many more there would have been. */
  #take(): readonly LogEntry[] {
    const entries = this.#entries;
    this.#entries = [];
    if (this.#dropped > 0) {
      const text = `${this.#dropped} log lines were dropped because nobody took them`;
      entries.push({ severity: 'warning', text });
      this.#dropped = 0;
    }
    return entries;
  }
}
