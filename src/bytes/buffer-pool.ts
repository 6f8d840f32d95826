/**
 * Buffers of one size that are used again. For what lives a little longer than a turn: the garbage collector
 * would take such memory for long-lived, and look for it all over the heap.
 */
export class BufferPool {
  readonly #bufferBytes: number;
  readonly #maxSpare: number;
  readonly #spare: Buffer[] = [];

  /** @param maxSpare how many are kept that nobody uses */
  constructor(bufferBytes: number, maxSpare: number) {
    this.#bufferBytes = bufferBytes;
    this.#maxSpare = maxSpare;
  }

  /** What is in it is anything. */
  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#bufferBytes);
  }

  /** Nobody uses it any more. */
  give(buffer: Buffer): void {
    if (this.#spare.length < this.#maxSpare) this.#spare.push(buffer);
  }
}
