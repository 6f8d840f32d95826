/** Where time comes from: handed to every state machine, so that tests can set the clock. */
export interface Clock {
  /** Wall-clock time, in milliseconds since the Unix epoch; may jump in either direction. */
  epochMs(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = { epochMs: () => Date.now() };

/** A moment, in milliseconds since the Unix epoch, as a date. */
export function dateOf(epochMs: number): Date {
  return new Date(epochMs);
}

/** Where timers come from: handed in, so that tests can let them run out. */
export interface Timers {
  /** Calls back after this time. @returns a function that cancels it; harmless when it has run */
  after(delayMs: number, callback: () => void): () => void;
}

/** The event loop's own timers, also for longer than the 25 days that they can wait (they take more as 0). */
export const systemTimers: Timers = {
  after(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const wait = (restMs: number): void => {
      const stepMs = Math.min(restMs, MAX_DELAY_MS);
      timer = setTimeout(() => (restMs > stepMs ? wait(restMs - stepMs) : callback()), stepMs);
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};

/** `setTimeout` has 31 bits for it. */
const MAX_DELAY_MS = 2 ** 31 - 1;
