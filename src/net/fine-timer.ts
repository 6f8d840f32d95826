/**
 * A one-shot timer that is finer than a millisecond.
 *
 * Node rounds `setTimeout` to whole milliseconds. obfs4's inter-arrival delays are multiples of
 * 100 µs, and a censor who sees them rounded sees that it is not obfs4proxy. The whole part is slept;
 * what is left, under a millisecond, is waited for turn by turn of the event loop.
 */
export class FineTimer {
  #timeout: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  /** Calls `callback` after `delayMs`, a fraction allowed, instead of what was set before. */
  set(delayMs: number, callback: () => void): void {
    this.clear();
    const dueMs = performance.now() + delayMs;
    const spin = (): void => {
      if (performance.now() >= dueMs) callback();
      else this.#immediate = setImmediate(spin);
    };
    // The last whole millisecond is spent in the turns: `setTimeout` may be up to one late.
    if (delayMs >= 2) this.#timeout = setTimeout(spin, Math.floor(delayMs) - 1);
    else this.#immediate = setImmediate(spin);
  }

  /** Forgets what was set. */
  clear(): void {
    clearTimeout(this.#timeout);
    clearImmediate(this.#immediate);
  }
}
