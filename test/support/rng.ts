import { createCipheriv, createHash } from 'node:crypto';
import type { Rng } from '../../src/crypto/rng.ts';

/** Hands out exactly these bytes, in order, and throws when they run dry. */
export function scriptedRng(script: Uint8Array): Rng & { readonly remaining: number } {
  let offset = 0;
  return {
    fill(target) {
      if (offset + target.length > script.length) throw new Error('the scripted Rng ran dry');
      target.set(script.subarray(offset, offset + target.length));
      offset += target.length;
    },
    get remaining() {
      return script.length - offset;
    },
  };
}

/** An endless stream of bytes that depends on the seed alone: a failing test can be repeated. */
export function seededRng(seed: string | number): Rng {
  let counter = 0;
  let block = Buffer.alloc(0);
  return {
    fill(target) {
      for (let index = 0; index < target.length; index += 1) {
        if (block.length === 0) {
          block = createHash('sha512').update(`${seed}/${counter}`).digest();
          counter += 1;
        }
        target[index] = block[0]!;
        block = block.subarray(1);
      }
    },
  };
}

/** As `seededRng`, other bytes, fast enough for megabytes. */
export function keyStreamRng(seed: string | number): Rng {
  const key = createHash('sha256').update(`${seed}`).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return {
    fill(target) {
      target.set(cipher.update(Buffer.alloc(target.length)));
    },
  };
}
