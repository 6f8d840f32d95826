import { limits } from '../limits.ts';
import { randomBytes, type Rng } from './rng.ts';

/** How many MACs are remembered; the oldest makes room for a new one. */
export const REPLAY_FILTER_CAPACITY: number = limits.replayFilterEntries;
/** How long a MAC is remembered: longer than any epoch hour's MAC is accepted. */
export const REPLAY_FILTER_TTL_MS: number = limits.replayFilterTtlMs;

const MAC_WORDS = 4;
const INITIAL_CAPACITY = 64;
const NONE = -1;

/**
 * The MACs of the handshakes that a server has accepted in the last hours, so that none is accepted twice.
 *
 * A hash table over a ring of typed arrays, 36 bytes an entry: a Map takes more than twice that, and
 * ever longer to find its oldest entry. The hash is keyed, for whoever holds a bridge's certificate
 * can choose among MACs and would otherwise make them collide.
 */
export class ReplayFilter {
  readonly #hashKey: Uint32Array;
  /** Entry i of the ring: its MAC as four words, when it was seen, the next entry of its bucket. */
  #macs = new Uint32Array(0);
  #seenAtMs = new Float64Array(0);
  #next = new Int32Array(0);
  /** The newest entry of each bucket; their number is a power of two. */
  #buckets = new Int32Array(0);
  #oldest = 0;
  #count = 0;

  constructor(rng: Rng) {
    const key = randomBytes(rng, 4 * MAC_WORDS);
    // Multiply-shift hashing asks for odd multipliers.
    this.#hashKey = Uint32Array.from({ length: MAC_WORDS }, (_, i) => key.readUInt32BE(4 * i) | 1);
    this.#resize(INITIAL_CAPACITY);
  }

  /** How many MACs are remembered. */
  get size(): number {
    return this.#count;
  }

  /**
   * Whether a MAC of 16 bytes was seen within the time to live; if not, it is remembered.
   *
   * When the clock is behind the oldest entry it was set back, and all entries are forgotten, as
   * obfs4proxy does: they would otherwise stay for as long as the clock needs to catch up.
   */
  testAndSet(mac: Uint8Array, nowMs: number): boolean {
    if (this.#count > 0 && nowMs < this.#seenAtMs[this.#oldest]!) this.#clear();
    while (this.#count > 0 && nowMs - this.#seenAtMs[this.#oldest]! >= REPLAY_FILTER_TTL_MS) {
      this.#forgetOldest();
    }
    const words = wordsOf(mac);
    if (this.#has(words)) return true;
    if (this.#count === REPLAY_FILTER_CAPACITY) this.#forgetOldest();
    if (this.#count === this.#seenAtMs.length) {
      this.#resize(Math.min(2 * this.#count, REPLAY_FILTER_CAPACITY));
    }
    this.#add(words, nowMs);
    return false;
  }

  /** What is remembered, oldest first; the MACs are owned copies. */
  *entries(): Generator<readonly [mac: Uint8Array, seenAtMs: number]> {
    for (let age = 0; age < this.#count; age += 1) {
      const entry = (this.#oldest + age) % this.#seenAtMs.length;
      const mac = Buffer.alloc(4 * MAC_WORDS);
      for (let i = 0; i < MAC_WORDS; i += 1) mac.writeUInt32BE(this.#word(entry, i), 4 * i);
      yield [mac, this.#seenAtMs[entry]!];
    }
  }

  #word(entry: number, index: number): number {
    return this.#macs[MAC_WORDS * entry + index]!;
  }

  #bucketOf(words: Uint32Array, offset: number): number {
    let hash = 0;
    for (let i = 0; i < MAC_WORDS; i += 1) {
      hash = (hash + Math.imul(words[offset + i]!, this.#hashKey[i]!)) | 0;
    }
    return hash >>> (Math.clz32(this.#buckets.length) + 1); // the top bits are the mixed ones
  }

  #has(words: Uint32Array): boolean {
    let entry = this.#buckets[this.#bucketOf(words, 0)]!;
    while (entry !== NONE) {
      if (words.every((word, index) => word === this.#word(entry, index))) return true;
      entry = this.#next[entry]!;
    }
    return false;
  }

  #add(words: Uint32Array, seenAtMs: number): void {
    const entry = (this.#oldest + this.#count) % this.#seenAtMs.length;
    const bucket = this.#bucketOf(words, 0);
    this.#macs.set(words, MAC_WORDS * entry);
    this.#seenAtMs[entry] = seenAtMs;
    this.#next[entry] = this.#buckets[bucket]!;
    this.#buckets[bucket] = entry;
    this.#count += 1;
  }

  /** The oldest entry is the last of its bucket, for new ones go to the front. */
  #forgetOldest(): void {
    const bucket = this.#bucketOf(this.#macs, MAC_WORDS * this.#oldest);
    let entry = this.#buckets[bucket]!;
    if (entry === this.#oldest) this.#buckets[bucket] = NONE;
    else {
      while (this.#next[entry] !== this.#oldest) entry = this.#next[entry]!;
      this.#next[entry] = NONE;
    }
    this.#oldest = (this.#oldest + 1) % this.#seenAtMs.length;
    this.#count -= 1;
  }

  #clear(): void {
    this.#buckets.fill(NONE);
    this.#oldest = this.#count = 0;
  }

  #resize(capacity: number): void {
    const macs = this.#macs;
    const seenAtMs = this.#seenAtMs;
    const oldest = this.#oldest;
    const count = this.#count;
    this.#macs = new Uint32Array(MAC_WORDS * capacity);
    this.#seenAtMs = new Float64Array(capacity);
    this.#next = new Int32Array(capacity);
    this.#buckets = new Int32Array(2 ** Math.ceil(Math.log2(capacity)));
    this.#clear();
    for (let age = 0; age < count; age += 1) {
      const entry = (oldest + age) % seenAtMs.length;
      const words = macs.subarray(MAC_WORDS * entry, MAC_WORDS * (entry + 1));
      this.#add(words, seenAtMs[entry]!);
    }
  }
}

function wordsOf(mac: Uint8Array): Uint32Array {
  const view = new DataView(mac.buffer, mac.byteOffset, 4 * MAC_WORDS);
  return Uint32Array.from({ length: MAC_WORDS }, (_, index) => view.getUint32(4 * index));
}
