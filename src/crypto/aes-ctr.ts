import { createCipheriv, type Cipher } from 'node:crypto';

/** One direction of an AES-CTR stream (NIST SP 800-38A, 6.5); encrypting and decrypting are the same. */
export class AesCtrStream {
  readonly #cipher: Cipher;

  /** @param key 16 bytes for AES-128, 32 for AES-256 @param counter the first counter block, 16 bytes */
  constructor(key: Uint8Array, counter: Uint8Array) {
    this.#cipher = createCipheriv(`aes-${8 * key.length}-ctr`, key, counter);
  }

  /** The next bytes of the stream, owned. Give it whole chunks: a call costs some 2 µs. */
  process(chunk: Uint8Array): Buffer {
    return this.#cipher.update(chunk);
  }
}
