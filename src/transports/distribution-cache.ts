import {
  createWeightedDistribution,
  type WeightedDistribution,
} from '../crypto/weighted-distribution.ts';

/**
 * Deriving a distribution costs half a millisecond, and connections to one bridge share theirs. A bridge
 * that sends each client another seed must not fill the memory, so only the latest are kept.
 */
export class DistributionCache {
  readonly #recent = new Map<string, WeightedDistribution>();

  /** How many are kept. */
  get size(): number {
    return this.#recent.size;
  }

  /** As `createWeightedDistribution`. */
  derive(...what: Parameters<typeof createWeightedDistribution>): WeightedDistribution {
    const [seed, ...range] = what;
    const key = `${range.join(' ')} ${Buffer.from(seed).toString('base64')}`;
    const known = this.#recent.get(key);
    if (known !== undefined) return known;
    const made = createWeightedDistribution(...what);
    if (this.#recent.size === MAX_RECENT) this.#recent.delete(this.#recent.keys().next().value!);
    this.#recent.set(key, made);
    return made;
  }
}

const MAX_RECENT = 64;

/** The one that all connections share. */
export const distributions: DistributionCache = new DistributionCache();
