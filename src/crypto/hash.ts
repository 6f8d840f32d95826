import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto';

/** SHA-256 of all parts, one after the other: 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** HMAC-SHA256 of all parts, one after the other: 32 bytes. */
export function hmacSha256(key: Uint8Array | KeyObject, ...parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** HMAC-SHA256-128 under one key: the marks and MACs of obfs4 and ScrambleSuit. */
export class MacKey {
  readonly #key: KeyObject;

  /** @param key copied */
  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  /** The first 16 bytes of the HMAC of all parts, one after the other. */
  mac128(...parts: readonly Uint8Array[]): Buffer {
    return hmacSha256(this.#key, ...parts).subarray(0, 16);
  }
}
