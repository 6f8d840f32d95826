/**
 * Length and time shaping: what obfs4 does to the sizes of its bursts and the gaps between them.
 *
 * Everyone behind one bridge draws from the distributions that its seed gives, derived exactly as
 * obfs4proxy derives them: to be the same crowd.
 */
import { sha256 } from '../../crypto/hash.ts';
import type { Rng } from '../../crypto/rng.ts';
import { distributions } from '../distribution-cache.ts';
import { Shaper } from '../shaper.ts';
import { FRAME_OVERHEAD, MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES, PRNG_SEED_BYTES } from './frames.ts';

/** `iat-mode`: what a sender does to the sizes and times of its writes. */
export const IatMode = { none: 0, enabled: 1, paranoid: 2 } as const;
export type IatMode = (typeof IatMode)[keyof typeof IatMode];

/** The longest delay between two writes, in steps of 100 µs. */
const MAX_DELAY_STEPS = 100;

/** Draws burst lengths (0..1448) and delays; its seed has 24 bytes. */
export class Obfs4Shaper extends Shaper {
  constructor(seed: Uint8Array, rng: Rng) {
    super(seed, rng, {
      lengths: (bytes) => distributions.derive(bytes, 0, MAX_FRAME_BYTES),
      delays: (bytes) =>
        distributions.derive(sha256(bytes).subarray(0, PRNG_SEED_BYTES), 0, MAX_DELAY_STEPS),
    });
  }

  /**
   * A length to write: 1..1448.
   *
   * The bridge chooses the seed, and a distribution may hold 0, of which a bad one may hold nothing
   * else: obfs4proxy 0.0.14 crashes there. We draw again, and a full segment is what is left.
   */
  sampleWriteLength(): number {
    for (let tries = 0; tries < 16; tries += 1) {
      const length = this.sampleLength();
      if (length > 0) return length;
    }
    return MAX_FRAME_BYTES;
  }
}

/** The padding packets, by the padding bytes in each, that bring a burst to its sampled length. */
export function burstPadding(burstBytes: number, targetBytes: number): readonly number[] {
  const tailBytes = burstBytes % MAX_FRAME_BYTES;
  const missing =
    targetBytes >= tailBytes ? targetBytes - tailBytes : MAX_FRAME_BYTES - tailBytes + targetBytes;
  if (missing === 0) return [];
  if (missing > FRAME_OVERHEAD) return [missing - FRAME_OVERHEAD];
  // Too little for a frame of its own. obfs4proxy then adds a full frame and one of `missing` more
  // than the overhead, so the burst overshoots by 21; whoever does better stands out.
  return [MAX_PAYLOAD_BYTES, missing];
}
