import { PosternError } from '../errors.ts';

/**
 * A strict cursor over one complete message: too short is malformed, never "need more".
 *
 * Every method throws `ERR_BYTES_TRUNCATED` when the message ends before the field does.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The number of bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** One octet. */
  uint8(): number {
    return this.bytes(1)[0]!;
  }

  /** Two octets, big-endian. */
  uint16(): number {
    const field = this.bytes(2);
    return (field[0]! << 8) | field[1]!;
  }

  /** Four octets, big-endian. */
  uint32(): number {
    const field = this.bytes(4);
    return ((field[0]! << 24) | (field[1]! << 16) | (field[2]! << 8) | field[3]!) >>> 0;
  }

  /** `count` octets: a view of the message, borrowed as long as the message is. */
  bytes(count: number): Uint8Array {
    if (count > this.remaining) {
      throw new PosternError(
        'ERR_BYTES_TRUNCATED',
        `message ends ${count - this.remaining} bytes before a field of ${count} bytes does`,
      );
    }
    const field = this.#bytes.subarray(this.#offset, this.#offset + count);
    this.#offset += count;
    return field;
  }

  /** All that is left: a view of the message, borrowed as long as the message is. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }
}
