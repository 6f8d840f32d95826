/** Where time comes from, handed to every state machine so that tests can turn the hands. */
export interface Clock {
  /** Wall-clock time, in milliseconds since the Unix epoch; may jump in either direction. */
  epochMs(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = { epochMs: () => Date.now() };
