/**
 * A growable byte queue: bytes are pushed at one end and consumed at the other.
 *
 * One contiguous buffer that doubles when it is full and compacts when half of it is spent, so that
 * a message that arrives in a thousand pieces costs one copy of each byte and not a thousand. It is
 * never a slice of Node's shared pool: a few bytes in an idle queue would keep 8 KiB of it alive.
 */
export class ByteQueue {
  #buffer: Buffer;
  #start = 0;
  #end = 0;

  constructor(initialCapacity = 0) {
    this.#buffer = Buffer.allocUnsafeSlow(initialCapacity);
  }

  /** How many bytes wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Appends a copy of `bytes`. */
  push(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The waiting bytes, or a range of them: borrowed until the next call of any other method. */
  peek(from = 0, to: number = this.length): Buffer {
    return this.#buffer.subarray(this.#start + from, this.#start + Math.min(to, this.length));
  }

  /** The first `count` waiting bytes as an owned copy, consumed; fewer when fewer wait. */
  take(count: number = this.length): Buffer {
    const bytes = Buffer.from(this.peek(0, count));
    this.skip(bytes.length);
    return bytes;
  }

  /** Drops the first `count` waiting bytes; an emptied queue lets go of a large buffer. */
  skip(count: number): void {
    this.#start = Math.min(this.#start + count, this.#end);
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      if (this.#buffer.length > RETAINED_BYTES) this.#buffer = Buffer.allocUnsafeSlow(0);
    }
  }

  /** Makes room for `count` more bytes at the end. */
  #reserve(count: number): void {
    if (this.#end + count <= this.#buffer.length) return;
    const length = this.length;
    if (length + count <= this.#buffer.length && this.#start >= this.#buffer.length / 2) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const grown = Buffer.allocUnsafeSlow(Math.max(length + count, 2 * this.#buffer.length, 64));
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      this.#buffer = grown;
    }
    this.#start = 0;
    this.#end = length;
  }
}

/** A drained queue keeps a buffer up to this size: idle connections stay small. */
const RETAINED_BYTES = 4096;
