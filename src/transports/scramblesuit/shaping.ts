/**
 * Length and time shaping: what ScrambleSuit does to the sizes of its bursts and, if asked to, to the
 * gaps between its writes. The server's seed decides the distributions, derived as obfs4proxy does.
 */
import { sha256 } from '../../crypto/hash.ts';
import type { Rng } from '../../crypto/rng.ts';
import {
  createWeightedDistribution,
  type WeightedDistribution,
} from '../../crypto/weighted-distribution.ts';
import { FRAME_OVERHEAD, MAX_FRAME_BYTES } from './frames.ts';

/** What a server sends its clients, that they shape their traffic alike. */
export const PRNG_SEED_BYTES = 32;
/** How much of it the distributions are derived from. */
const USED_SEED_BYTES = 24;
/** The longest delay between two writes, in steps of 100 µs. */
const MAX_DELAY_STEPS = 100;

/** Draws burst lengths and delays. Holds nothing of a connection: a server has one for all. */
export class Shaper {
  readonly #rng: Rng;
  #seed: Uint8Array;
  #lengths: WeightedDistribution | undefined;
  #delays: WeightedDistribution | undefined;

  /** @param seed the server's 32 bytes, or random ones until the server has sent its own */
  constructor(seed: Uint8Array, rng: Rng) {
    this.#rng = rng;
    this.#seed = seed;
  }

  /** Takes another seed, as a client does when the server has sent its own. */
  reseed(seed: Uint8Array): void {
    this.#seed = seed;
    this.#lengths = this.#delays = undefined;
  }

  /** The length that a burst's last segment is padded to: 21..1448. */
  sampleLength(): number {
    this.#lengths ??= derive(this.#seed, FRAME_OVERHEAD, MAX_FRAME_BYTES);
    return this.#lengths.sample(this.#rng);
  }

  /** The pause before a write, in milliseconds: 0..10 in steps of 0.1. */
  sampleDelayMs(): number {
    this.#delays ??= derive(sha256(this.#seed), 0, MAX_DELAY_STEPS);
    return this.#delays.sample(this.#rng) / 10;
  }
}

function derive(seed: Uint8Array, minimum: number, maximum: number): WeightedDistribution {
  return createWeightedDistribution(seed.subarray(0, USED_SEED_BYTES), minimum, maximum, 'biased');
}

/** The paddings, one for each frame of padding, that bring a burst's last segment to its length. */
export function burstPaddings(burstBytes: number, targetBytes: number): readonly number[] {
  const missing =
    (targetBytes - (burstBytes % MAX_FRAME_BYTES) + MAX_FRAME_BYTES) % MAX_FRAME_BYTES;
  // Too little for a frame, none included: a segment more, as obfs4proxy has it.
  const paddedBytes = missing < FRAME_OVERHEAD ? missing + MAX_FRAME_BYTES : missing;
  if (paddedBytes <= MAX_FRAME_BYTES) return [paddedBytes - FRAME_OVERHEAD];
  return [FIRST_OF_TWO - FRAME_OVERHEAD, paddedBytes - FIRST_OF_TWO - FRAME_OVERHEAD];
}

/** Where one frame of padding is not enough, the first is this long. */
const FIRST_OF_TWO = 700;
