import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** HMAC-SHA256 (RFC 2104) over the parts one after another: 32 bytes, owned. */
export function hmacSha256(key: Uint8Array | string, ...parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** SHA-256 over the parts one after another: 32 bytes, owned. */
export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** A key under which many HMAC-SHA256-128 are made: the obfs4 marks and MACs of one bridge. */
export class MacKey {
  readonly #key: Uint8Array;

  /** @param key copied */
  constructor(key: Uint8Array) {
    this.#key = Uint8Array.from(key);
  }

  /** HMAC-SHA256-128 over the parts one after another: 16 bytes, owned. */
  mac128(...parts: readonly Uint8Array[]): Buffer {
    return hmacSha256(this.#key, ...parts).subarray(0, 16);
  }
}

/** Whether two secrets of public length are equal, in a time that does not depend on where they differ. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
