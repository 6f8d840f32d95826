/** A request's body, which nobody reads: how many of the bytes that come are its own. */
import type { RequestHead } from './request-head.ts';

/** What is still to come of one body. */
export class BodySkipper {
  /** Of the body, or of the chunk that has begun. */
  #left: number;
  readonly #isChunked: boolean;
  #state: 'data' | 'size' | 'behind data' | 'trailer' | 'over';

  constructor({ fields }: RequestHead) {
    this.#isChunked = fields.has('transfer-encoding');
    this.#left = Number(fields.get('content-length')?.[0] ?? 0);
    this.#state = this.#isChunked ? 'size' : this.#left > 0 ? 'data' : 'over';
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /**
   * How many bytes at the front of these are the body's; 0 for a line that is not whole.
   *
   * @returns undefined when they are no body
   */
  skip(bytes: Buffer): number | undefined {
    if (this.#state === 'data') {
      const count = Math.min(this.#left, bytes.length);
      this.#left -= count;
      if (this.#left === 0) this.#state = this.#isChunked ? 'behind data' : 'over';
      return count;
    }
    const text = bytes.toString('latin1', 0, MAX_LINE_BYTES);
    const end = text.indexOf('\n');
    if (end === -1) return text.length >= MAX_LINE_BYTES ? undefined : 0;
    const line = text.slice(0, end).replace(/\r$/, '');
    if (this.#state === 'size') {
      const size = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(line)?.[1];
      if (size === undefined) return undefined;
      this.#left = parseInt(size, 16);
      this.#state = this.#left > 0 ? 'data' : 'trailer';
    } else if (this.#state === 'trailer') {
      if (line === '') this.#state = 'over';
    } else {
      if (line !== '') return undefined;
      this.#state = 'size';
    }
    return end + 1;
  }
}

const MAX_LINE_BYTES = 4096;
