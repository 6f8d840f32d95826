import type { Rng } from '../crypto/rng.ts';
import type { WeightedDistribution } from '../crypto/weighted-distribution.ts';

/** How a transport derives its distributions from the bridge's seed. */
export interface ShapeDerivation {
  /** The lengths that a burst's last segment is padded to. */
  lengths(seed: Uint8Array): WeightedDistribution;
  /** The pauses between two writes, in steps of 100 µs. */
  delays(seed: Uint8Array): WeightedDistribution;
}

/**
 * Draws burst lengths and delays from the distributions that a bridge's seed gives, so that all clients of one
 * bridge look alike. Holds nothing of a connection: a server has one for all.
 */
export class Shaper {
  readonly #rng: Rng;
  readonly #derivation: ShapeDerivation;
  #seed: Uint8Array;
  #lengths: WeightedDistribution | undefined;
  #delays: WeightedDistribution | undefined;

  /** @param seed the bridge's, or a random one until the bridge has sent it */
  constructor(seed: Uint8Array, rng: Rng, derivation: ShapeDerivation) {
    this.#seed = seed;
    this.#rng = rng;
    this.#derivation = derivation;
  }

  /** Takes another seed, as a client does when the bridge has sent its own. */
  reseed(seed: Uint8Array): void {
    this.#seed = seed;
    this.#lengths = this.#delays = undefined;
  }

  /** The length that a burst's last segment is padded to. */
  sampleLength(): number {
    this.#lengths ??= this.#derivation.lengths(this.#seed);
    return this.#lengths.sample(this.#rng);
  }

  /** A pause, in milliseconds: 0..10 in steps of 0.1. */
  sampleDelayMs(): number {
    this.#delays ??= this.#derivation.delays(this.#seed);
    return this.#delays.sample(this.#rng) / 10;
  }
}
