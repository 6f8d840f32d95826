/**
 * Length and time shaping: what ScrambleSuit does to the sizes of its bursts and, if asked to, to the
 * gaps between its writes. The server's seed decides the distributions, derived as obfs4proxy does.
 */
import { sha256 } from '../../crypto/hash.ts';
import type { Rng } from '../../crypto/rng.ts';
import type { WeightedDistribution } from '../../crypto/weighted-distribution.ts';
import { distributions } from '../distribution-cache.ts';
import { Shaper } from '../shaper.ts';
import { FRAME_OVERHEAD, MAX_FRAME_BYTES } from './frames.ts';

/** What a server sends its clients, that they shape their traffic alike. */
export const PRNG_SEED_BYTES = 32;
/** How much of it the distributions are derived from. */
const USED_SEED_BYTES = 24;
/** The longest delay between two writes, in steps of 100 µs. */
const MAX_DELAY_STEPS = 100;

/** @param seed the server's 32 bytes, or random ones until the server has sent its own */
export function createShaper(seed: Uint8Array, rng: Rng): Shaper {
  return new Shaper(seed, rng, {
    lengths: (bytes) => derive(bytes, FRAME_OVERHEAD, MAX_FRAME_BYTES),
    delays: (bytes) => derive(sha256(bytes), 0, MAX_DELAY_STEPS),
  });
}

function derive(seed: Uint8Array, minimum: number, maximum: number): WeightedDistribution {
  return distributions.derive(seed.subarray(0, USED_SEED_BYTES), minimum, maximum, 'biased');
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
