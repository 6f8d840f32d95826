/** Where waiting comes from, handed in so that tests can turn the hands. */
export interface Timers {
  /** Calls back after so long. @returns cancels it; harmless when it has run */
  after(delayMs: number, callback: () => void): () => void;
}

/** The event loop's own timers. */
export const systemTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
