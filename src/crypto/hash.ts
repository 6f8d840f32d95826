/**
 * SHA-256 and what is built on it.
 *
 * What handshakes use goes through Node's one-shot `hash`, with digests as strings: `createHash` and
 * `createHmac` make a native object each, and dozens of them a handshake are a tenth of its CPU time.
 */
import { createHash, hash, timingSafeEqual } from 'node:crypto';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/** SHA-256 over the parts one after another: 32 bytes, owned. */
export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1');
}

/** A key under which HMAC-SHA256 (RFC 2104) is computed many times. */
export class MacKey {
  readonly #innerPad = new Uint8Array(BLOCK_BYTES).fill(0x36);
  readonly #outerPad = new Uint8Array(BLOCK_BYTES).fill(0x5c);

  /** @param key of any length, copied */
  constructor(key: Uint8Array) {
    const short = key.length > BLOCK_BYTES ? sha256(key) : key;
    for (let index = 0; index < short.length; index += 1) {
      this.#innerPad[index]! ^= short[index]!;
      this.#outerPad[index]! ^= short[index]!;
    }
  }

  /** HMAC-SHA256 over the parts one after another: 32 bytes, owned. */
  mac(...parts: readonly Uint8Array[]): Buffer {
    outer.set(this.#outerPad);
    const inner = hash('sha256', Buffer.concat([this.#innerPad, ...parts]), 'binary');
    outer.write(inner, BLOCK_BYTES, 'latin1');
    return sha256(outer);
  }

  /** HMAC-SHA256-128 over the parts one after another: 16 bytes, owned. */
  mac128(...parts: readonly Uint8Array[]): Buffer {
    return this.mac(...parts).subarray(0, 16);
  }
}

/** Scratch that all keys share: nothing here is asynchronous. */
const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

/** HMAC-SHA256 over the parts one after another: 32 bytes, owned. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  return new MacKey(key).mac(...parts);
}

/** HKDF-SHA256 (RFC 5869): `byteCount` bytes, owned. */
export function hkdfSha256(
  salt: Uint8Array,
  inputKey: Uint8Array,
  info: Uint8Array,
  byteCount: number,
): Buffer {
  const key = new MacKey(hmacSha256(salt, inputKey));
  const blocks: Buffer[] = [];
  for (let index = 1; DIGEST_BYTES * blocks.length < byteCount; index += 1) {
    const previous = blocks.at(-1) ?? NOTHING;
    blocks.push(key.mac(previous, info, Uint8Array.of(index)));
  }
  return Buffer.concat(blocks, byteCount);
}

const NOTHING = new Uint8Array(0);

/** Whether two secrets of public length are equal, in a time that does not depend on where they differ. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** SHA-1, which old protocols ask for where no secret depends on it: 20 bytes, owned. */
export function sha1(bytes: Uint8Array): Buffer {
  return Buffer.from(hash('sha1', bytes, 'binary'), 'latin1');
}

/** A SHA-256 over bytes that come piece by piece. */
export interface RunningSha256 {
  update(chunk: Uint8Array): void;
  /** The digest of everything so far, in hexadecimal; ends it. */
  hex(): string;
}

/** Starts a SHA-256 over bytes that come piece by piece. */
export function startSha256(): RunningSha256 {
  const running = createHash('sha256');
  return {
    update(chunk) {
      running.update(chunk);
    },
    hex: () => running.digest('hex'),
  };
}
