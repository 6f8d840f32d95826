/** Where time comes from, handed to every state machine so that tests can turn the hands. */
export interface Clock {
  /** Wall-clock time, in milliseconds since the Unix epoch; may jump in either direction. */
  epochMs(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = { epochMs: () => Date.now() };

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
