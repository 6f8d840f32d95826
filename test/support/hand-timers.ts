import type { Timers } from '../../src/time.ts';

/** Timers whose hands a test turns: nothing runs out by itself. */
export class HandTimers implements Timers {
  readonly #pending = new Set<{ readonly delayMs: number; readonly callback: () => void }>();
  #onChange: (() => void) | undefined;

  after(delayMs: number, callback: () => void): () => void {
    const entry = { delayMs, callback };
    this.#pending.add(entry);
    this.#onChange?.();
    return () => void this.#pending.delete(entry);
  }

  /** The delays of the timers that run, in the order in which they were set. */
  get delays(): readonly number[] {
    return [...this.#pending].map(({ delayMs }) => delayMs);
  }

  /** Waits until a timer of this delay runs. */
  async isSet(delayMs: number): Promise<void> {
    while (!this.delays.includes(delayMs)) {
      await new Promise<void>((resolve) => (this.#onChange = resolve));
    }
  }

  /** Lets the timer of this delay run out; waits for it to be set when it is not yet. */
  async fire(delayMs: number): Promise<void> {
    for (;;) {
      const entry = [...this.#pending].find((candidate) => candidate.delayMs === delayMs);
      if (entry !== undefined) {
        this.#pending.delete(entry);
        entry.callback();
        return;
      }
      await new Promise<void>((resolve) => (this.#onChange = resolve));
    }
  }
}
