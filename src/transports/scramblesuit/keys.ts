/** What both ends of a ScrambleSuit connection derive from its master key. */
import { hmacSha256 } from '../../crypto/hash.ts';

/** Master keys, whether they come from UniformDH or out of a ticket. */
export const MASTER_KEY_BYTES = 32;

/** What protects the bytes of one direction. */
export interface DirectionKeys {
  /** 32 bytes, for AES-256-CTR. */
  readonly key: Uint8Array;
  /** The first counter block, 16 bytes. */
  readonly counter: Uint8Array;
  /** 32 bytes, for HMAC-SHA256-128. */
  readonly macKey: Uint8Array;
}

/** Both directions. */
export interface SessionKeys {
  readonly clientToServer: DirectionKeys;
  readonly serverToClient: DirectionKeys;
}

/** HKDF-SHA256 (RFC 5869) without its extract step and without info: 144 bytes, split up. */
export function deriveSessionKeys(masterKey: Uint8Array): SessionKeys {
  const blocks: Buffer[] = [];
  for (let index = 1; index <= 5; index += 1) {
    blocks.push(hmacSha256(masterKey, blocks.at(-1) ?? NOTHING, Uint8Array.of(index)));
  }
  const material = Buffer.concat(blocks);
  return {
    clientToServer: {
      key: material.subarray(0, 32),
      counter: firstCounter(material.subarray(32, 40)),
      macKey: material.subarray(80, 112),
    },
    serverToClient: {
      key: material.subarray(40, 72),
      counter: firstCounter(material.subarray(72, 80)),
      macKey: material.subarray(112, 144),
    },
  };
}

/** An 8-byte prefix, then a counter of 8 bytes, big-endian, from 1. */
function firstCounter(prefix: Uint8Array): Buffer {
  const counter = Buffer.alloc(16);
  counter.set(prefix);
  counter[15] = 1;
  return counter;
}

const NOTHING = new Uint8Array(0);
