import { randomFillSync } from 'node:crypto';

/** Where randomness comes from, handed to every state machine so that tests can script it. */
export interface Rng {
  /** Fills all of `target` with uniform random bytes. */
  fill(target: Uint8Array): void;
}

/**
 * The operating system's generator.
 *
 * A call to it costs 2 µs whatever the length, and obfs4 draws a few bytes for each burst: so short
 * draws are taken from a pool. What was handed out is wiped from the pool at once.
 */
export const systemRng: Rng = {
  fill(target) {
    if (target.length > MAX_POOLED_BYTES) {
      randomFillSync(target);
      return;
    }
    if (poolUsed + target.length > pool.length) {
      randomFillSync(pool);
      poolUsed = 0;
    }
    const end = poolUsed + target.length;
    for (let index = 0; poolUsed < end; index += 1, poolUsed += 1) {
      target[index] = pool[poolUsed]!;
      pool[poolUsed] = 0;
    }
  },
};

const MAX_POOLED_BYTES = 64;
const pool = new Uint8Array(1024);
let poolUsed = pool.length;

/** `count` uniform random bytes, owned. */
export function randomBytes(rng: Rng, count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  rng.fill(bytes);
  return bytes;
}

/** `count` uniform random bytes of 0x20..0x7e, the printable ones of ASCII; owned. */
export function randomPrintable(rng: Rng, count: number): Buffer {
  const bytes = randomBytes(rng, count);
  for (let index = 0; index < count; index += 1) {
    let value = bytes[index]! & 0x7f;
    while (value < 0x20 || value === 0x7f) value = randomInteger(rng, 0, 0x7f);
    bytes[index] = value;
  }
  return bytes;
}

/** A uniform integer of `minimum`..`maximum`, both included; the range spans less than 2^32. */
export function randomInteger(rng: Rng, minimum: number, maximum: number): number {
  const span = maximum - minimum + 1;
  // Rejection keeps the result uniform: values of the last, incomplete multiple are drawn again.
  const ceiling = 2 ** 32 - (2 ** 32 % span);
  for (;;) {
    rng.fill(word);
    const value = wordView.getUint32(0);
    if (value < ceiling) return minimum + (value % span);
  }
}

/** A uniform multiple of 2^-53 in [0, 1). */
export function randomFloat53(rng: Rng): number {
  rng.fill(word);
  const high = wordView.getUint32(0) & 0x1f_ffff;
  rng.fill(word);
  return (high * 2 ** 32 + wordView.getUint32(0)) / 2 ** 53;
}

/** Scratch for drawing numbers. */
const word = new Uint8Array(4);
const wordView = new DataView(word.buffer);
