import { randomFillSync } from 'node:crypto';

/** Where randomness comes from, handed to every state machine so that tests can script it. */
export interface Rng {
  /** Fills all of `target` with uniform random bytes. */
  fill(target: Uint8Array): void;
}

/** The operating system's generator. */
export const systemRng: Rng = {
  fill(target) {
    randomFillSync(target);
  },
};

/** `count` uniform random bytes, owned. */
export function randomBytes(rng: Rng, count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  rng.fill(bytes);
  return bytes;
}

/** A uniform integer of `minimum`..`maximum`, both included; the range spans less than 2^32. */
export function randomInteger(rng: Rng, minimum: number, maximum: number): number {
  const span = maximum - minimum + 1;
  // Rejection keeps the result uniform: values of the last, incomplete multiple are drawn again.
  const ceiling = 2 ** 32 - (2 ** 32 % span);
  for (;;) {
    const value = randomBytes(rng, 4).readUInt32BE();
    if (value < ceiling) return minimum + (value % span);
  }
}
