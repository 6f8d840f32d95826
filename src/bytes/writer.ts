/** Puts a message together field by field; `finish` returns one fresh array. */
export class Writer {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** One octet. */
  uint8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }

  /** Two octets, big-endian. */
  uint16(value: number): this {
    return this.bytes(Uint8Array.of(value >>> 8, value));
  }

  /** Four octets, big-endian. */
  uint32(value: number): this {
    return this.bytes(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
  }

  /** Raw octets; borrowed until `finish`. */
  bytes(value: Uint8Array): this {
    this.#parts.push(value);
    this.#length += value.length;
    return this;
  }

  /** The message, as an owned array. */
  finish(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }
}
