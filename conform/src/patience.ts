/**
 * Waiting in a way that a slow machine changes no verdict.
 *
 * How long a program may take is measured in starts of programs: a busy machine slows both down alike. How long
 * a start takes at the moment is known from the starts that happen anyway; when the last one is too long ago,
 * Node is started once to find out.
 */
import { spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';

/** How long to wait: so many milliseconds whatever happens, or as long as a `Pace` allows. */
export type Time = number | Allowance;

/** A time that grows with the time of a start. */
export interface Allowance {
  /** What is waited at least. */
  readonly leastMs: number;
  /** Gives the wait up. */
  readonly signal: AbortSignal;
  /** How many milliseconds more are due when so many have passed; none when the time is up. */
  readonly more: (elapsedMs: number) => Promise<number>;
}

/** So many milliseconds, unless the wait is given up. */
export function allowed(leastMs: number, signal: AbortSignal): Allowance {
  return { leastMs, signal, more: async () => 0 };
}

/** Tells waiting code that something has happened. */
export class News {
  readonly #listeners = new Set<() => void>();

  /** Something has happened. */
  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** @returns ends it */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Waits until a condition is true, and checks it at every piece of news. @returns whether it came true in time */
export async function waitFor(
  condition: () => boolean,
  news: readonly News[],
  time: Time,
): Promise<boolean> {
  const startedMs = performance.now();
  const signal = typeof time === 'number' ? undefined : time.signal;
  let dueMs = typeof time === 'number' ? time : time.leastMs;
  while (!condition()) {
    if (dueMs <= 0) return false;
    await oneOf(news, dueMs, condition, signal);
    if (condition()) return true;
    dueMs =
      typeof time === 'number'
        ? 0 // A fixed time is over.
        : await time.more(performance.now() - startedMs);
    signal?.throwIfAborted();
  }
  return true;
}

/** Settles when the condition has come true, or the time is over. */
function oneOf(
  news: readonly News[],
  timeoutMs: number,
  condition: () => boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      for (const end of ends) end();
      signal?.removeEventListener('abort', abort);
      act();
    };
    const abort = (): void => settle(() => reject(signal!.reason as Error));
    const look = (): void => {
      if (condition()) settle(resolve);
    };
    const timer = setTimeout(() => settle(resolve), timeoutMs);
    const ends = news.map((each) => each.listen(look));
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

/** How fast starts are at the moment. */
export class Pace {
  readonly #signal: AbortSignal;
  /** The starts of the last moments. */
  #recent: { readonly atMs: number; readonly tookMs: number }[] = [];
  #asking: Promise<void> | undefined;

  constructor(signal: AbortSignal) {
    // Many wait at once.
    setMaxListeners(0, signal);
    this.#signal = signal;
  }

  /** A start took so long, until the program said or did something. */
  note(tookMs: number): void {
    const atMs = performance.now();
    this.#recent = this.#recent.filter((each) => atMs - each.atMs < RECENT_MS);
    this.#recent.push({ atMs, tookMs });
  }

  /** As long as so many starts would take, and a number of milliseconds at least. */
  allow(leastMs: number, starts: number): Allowance {
    return {
      leastMs,
      signal: this.#signal,
      more: async (elapsedMs) => {
        if (!this.#isFresh()) await this.#ask();
        return Math.max(leastMs, starts * this.#slowestMs) - elapsedMs;
      },
    };
  }

  /** For what mostly comes at once, and is not worth more than one start. */
  moment(leastMs: number): number {
    return Math.max(leastMs, this.#slowestMs);
  }

  get #slowestMs(): number {
    return Math.max(0, ...this.#recent.map(({ tookMs }) => tookMs));
  }

  #isFresh(): boolean {
    const last = this.#recent.at(-1);
    return last !== undefined && performance.now() - last.atMs < FRESH_MS;
  }

  /** One start for all who want to know. */
  async #ask(): Promise<void> {
    this.#asking ??= this.#startNode().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  #startNode(): Promise<void> {
    const startedMs = performance.now();
    return new Promise((resolve) => {
      const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore', signal: this.#signal });
      // An error is that of the signal, which the waits hear of themselves.
      child.once('error', () => resolve());
      child.once('exit', () => {
        this.note(performance.now() - startedMs);
        resolve();
      });
    });
  }
}

/** Whatever a program has to do takes less than so many starts. */
export const PATIENCE_STARTS = 6;

/** What has not happened in the time of this many starts counts as not happening. */
export const QUIET_STARTS = 3;

/** How long a start counts as a measure of the machine's speed. */
const FRESH_MS = 1000;

/** The slowest of these is what counts: starts that happen at once differ. */
const RECENT_MS = 3000;
