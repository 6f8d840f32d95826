/** Where `GoRand` draws from: the two readings of Go's `Source.Int63` that it needs. */
export interface GoRandSource {
  /** `Int63() >> 32`. */
  nextInt31(): number;
  /** `float64(Int63())`. */
  nextInt63AsFloat(): number;
}

/**
 * Go's `math/rand` over a given source: the same numbers from the same blocks, in the same order.
 *
 * obfs4proxy derives the distributions of a bridge with it, so whoever wants to be in the crowd of
 * that bridge's clients must do so too. Go keeps this algorithm stable (Go 1 compatibility).
 */
export class GoRand {
  readonly #source: GoRandSource;

  constructor(source: GoRandSource) {
    this.#source = source;
  }

  /** `Intn`: a uniform integer of 0..`bound`-1, for bounds of 1..2^31-1. */
  intn(bound: number): number {
    if ((bound & (bound - 1)) === 0) return this.#source.nextInt31() & (bound - 1);
    // Values of the last, incomplete multiple of the bound are drawn again.
    const ceiling = 2 ** 31 - (2 ** 31 % bound);
    for (;;) {
      const value = this.#source.nextInt31();
      if (value < ceiling) return value % bound;
    }
  }

  /** `Perm`: 0..`count`-1 in random order, by the inside-out Fisher-Yates shuffle. */
  perm(count: number): Uint32Array {
    const order = new Uint32Array(count);
    for (let index = 0; index < count; index += 1) {
      const other = this.intn(index + 1);
      order[index] = order[other]!;
      order[other] = index;
    }
    return order;
  }

  /**
   * `Float64`: uniform in [0, 1).
   *
   * Go divides all 63 bits and draws again when that rounds up to 1. Its source shows a simpler way
   * (`Int63n(1<<53) / (1<<53)`) in a comment: that is not what runs.
   */
  float64(): number {
    for (;;) {
      const value = this.#source.nextInt63AsFloat() / 2 ** 63;
      if (value < 1) return value;
    }
  }
}
