/** Where time comes from, handed to every state machine so that tests can turn the hands. */
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

/** Where waiting comes from, handed in so that tests can turn the hands. */
export interface Timers {
  /** Calls back after so long. @returns cancels it; harmless when it has run */
  after(delayMs: number, callback: () => void): () => void;
}

/** The event loop's own timers, and for longer than they can wait: they take 25 days, and more as nothing. */
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
