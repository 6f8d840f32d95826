/**
 * obfs4's deterministic random bit generator: it masks frame lengths and seeds the length
 * distribution.
 *
 * obfs4's specification says "SipHash-2-4 in OFB mode". What obfs4proxy runs, and so the world,
 * writes each block into a SipHash that is never reset: block n = SipHash(key, IV ‖ block 0 ‖ … ‖
 * block n-1). The state is kept between blocks, so each costs the same however long the stream is.
 *
 * 64-bit words are pairs of 32-bit halves: BigInt would cost some twenty times more.
 */
export class SipHashDrbg {
  /**
   * 0..7: v0..v3 as [high, low] pairs, after everything absorbed so far; 8, 9: the last block, as a
   * pair. A typed array, for a field that holds a 32-bit number is an allocation at each change.
   */
  readonly #state = new Int32Array(10);
  #absorbedBytes = 0;

  /** @param seed SipHash key (16 bytes) ‖ IV (8 bytes), copied */
  constructor(seed: Uint8Array) {
    const [k0Low, k0High, k1Low, k1High, ivLow, ivHigh] = littleEndianWords(seed);
    this.#state.set([
      k0High! ^ 0x736f6d65,
      k0Low! ^ 0x70736575,
      k1High! ^ 0x646f7261,
      k1Low! ^ 0x6e646f6d,
      k0High! ^ 0x6c796765,
      k0Low! ^ 0x6e657261,
      k1High! ^ 0x74656462,
      k1Low! ^ 0x79746573,
      ivHigh!,
      ivLow!,
    ]);
  }

  /** The next block as a 16-bit length mask: its first two bytes, big-endian. */
  nextMask(): number {
    this.#nextBlock();
    return swapBytes(this.#state[LOW]!) >>> 16;
  }

  /** The next block as Go's `Source.Int63() >> 32`: the top 31 of its 63 bits, big-endian. */
  nextInt31(): number {
    this.#nextBlock();
    return swapBytes(this.#state[LOW]!) & 0x7fff_ffff;
  }

  /** The next block as Go's `float64(Source.Int63())`: its bottom 63 bits, rounded once. */
  nextInt63AsFloat(): number {
    this.#nextBlock();
    const high = swapBytes(this.#state[LOW]!) & 0x7fff_ffff;
    return high * 2 ** 32 + (swapBytes(this.#state[HIGH]!) >>> 0);
  }

  /** Absorbs the last block, then digests all so far. */
  #nextBlock(): void {
    const state = this.#state;
    const inputHigh = state[HIGH]!;
    const inputLow = state[LOW]!;
    this.#absorbedBytes = (this.#absorbedBytes + 8) & 0xff;
    // The digest's last word is the length (modulo 256) in the top byte and nothing else, for the
    // input is always whole words.
    const lengthWord = this.#absorbedBytes << 24;
    let v0h = state[0]!;
    let v0l = state[1]!;
    let v1h = state[2]!;
    let v1l = state[3]!;
    let v2h = state[4]!;
    let v2l = state[5]!;
    let v3h = state[6]! ^ inputHigh;
    let v3l = state[7]! ^ inputLow;
    // Eight SipRounds: two absorb the block, two the length, four finish. One loop, so that the
    // words stay in registers (SipHash: a fast short-input PRF, section 2).
    for (let round = 0; round < 8; round += 1) {
      if (round === 2) {
        v0h ^= inputHigh;
        v0l ^= inputLow;
        // The stream goes on from here; the rest is this digest's alone.
        state[0] = v0h;
        state[1] = v0l;
        state[2] = v1h;
        state[3] = v1l;
        state[4] = v2h;
        state[5] = v2l;
        state[6] = v3h;
        state[7] = v3l;
        v3h ^= lengthWord;
      } else if (round === 4) {
        v0h ^= lengthWord;
        v2l ^= 0xff;
      }

      // The low half of a sum is less than its terms exactly if it has a carry.
      v0l = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (v0l >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
      v2l = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (v2l >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;

      let high = (v1h << 13) | (v1l >>> 19);
      let low = (v1l << 13) | (v1h >>> 19);
      v1h = high ^ v0h;
      v1l = low ^ v0l;
      high = (v3h << 16) | (v3l >>> 16);
      low = (v3l << 16) | (v3h >>> 16);
      v3h = high ^ v2h;
      v3l = low ^ v2l;
      high = v0l; // rotation by 32 swaps the halves
      v0l = v0h;
      v0h = high;

      v2l = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (v2l >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
      v0l = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (v0l >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;

      high = (v1h << 17) | (v1l >>> 15);
      low = (v1l << 17) | (v1h >>> 15);
      v1h = high ^ v2h;
      v1l = low ^ v2l;
      high = (v3h << 21) | (v3l >>> 11);
      low = (v3l << 21) | (v3h >>> 11);
      v3h = high ^ v0h;
      v3l = low ^ v0l;
      high = v2l;
      v2l = v2h;
      v2h = high;
    }
    state[HIGH] = v0h ^ v1h ^ v2h ^ v3h;
    state[LOW] = v0l ^ v1l ^ v2l ^ v3l;
  }
}

/** Where the halves of the last block stand in the state. */
const HIGH = 8;
const LOW = 9;

function littleEndianWords(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int32Array.from({ length: 6 }, (_, index) => view.getInt32(4 * index, true));
}

function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | ((word >>> 24) & 0xff);
}
