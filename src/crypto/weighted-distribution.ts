/**
 * The distributions from which obfs4 draws lengths and delays: a few integers of a range, each with
 * a weight, all derived from a 24-byte seed as obfs4proxy derives them.
 */
import { GoRand } from './go-rand.ts';
import { randomFloat53, randomInteger, type Rng } from './rng.ts';
import { SipHashDrbg } from './siphash-drbg.ts';

/** How many values a distribution has at most. */
const MAX_VALUES = 100;

/** A derived distribution; it never changes, so connections can share one. */
export class WeightedDistribution {
  /** What can be drawn, in the order of derivation. */
  readonly values: Uint32Array;
  /** How likely each value is, in relation to the others. */
  readonly weights: Float64Array;
  /** Vose's alias method: cell i gives value i with probability `#keep[i]`, else its alias. */
  readonly #keep: Float64Array;
  readonly #alias: Uint32Array;

  /** @param weights positive, one for each value */
  constructor(values: Uint32Array, weights: Float64Array) {
    this.values = values;
    this.weights = weights;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const count = values.length;
    this.#keep = weights.map((weight) => (weight * count) / total);
    this.#alias = Uint32Array.from(values.keys());
    const keep = this.#keep;
    const small = [...keep.keys()].filter((cell) => keep[cell]! < 1);
    const large = [...keep.keys()].filter((cell) => keep[cell]! >= 1);
    // Each small cell is topped up to 1 from a large one, which may thereby become small.
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop()!;
      const rich = large.at(-1)!;
      this.#alias[poor] = rich;
      keep[rich] = keep[rich]! + keep[poor]! - 1;
      if (keep[rich] < 1) small.push(large.pop()!);
    }
    // What is left in either list is 1 but for rounding.
    for (const cell of [...small, ...large]) keep[cell] = 1;
  }

  /** Draws one value with fresh randomness. */
  sample(rng: Rng): number {
    const cell = randomInteger(rng, 0, this.values.length - 1);
    return this.values[randomFloat53(rng) < this.#keep[cell]! ? cell : this.#alias[cell]!]!;
  }
}

/**
 * The distribution over some integers of `minimum`..`maximum` that a seed gives.
 *
 * obfs4proxy's order of draws: a permutation of the range, how many of its first values to take
 * (1..100), then a weight for each: uniform for obfs4; for ScrambleSuit biased, where each takes a
 * random part of what those before it have left.
 *
 * @param seed 24 bytes
 */
export function createWeightedDistribution(
  seed: Uint8Array,
  minimum: number,
  maximum: number,
  weighting: 'uniform' | 'biased' = 'uniform',
): WeightedDistribution {
  const rand = new GoRand(new SipHashDrbg(seed));
  const span = maximum - minimum + 1;
  const order = rand.perm(span);
  const count = rand.intn(Math.min(span, MAX_VALUES)) + 1;
  const values = order.slice(0, count).map((value) => minimum + value);
  let taken = 0;
  const weights = new Float64Array(count).map(() => {
    const weight = (1 - taken) * rand.float64();
    if (weighting === 'biased') taken += weight;
    return weight;
  });
  return new WeightedDistribution(values, weights);
}
