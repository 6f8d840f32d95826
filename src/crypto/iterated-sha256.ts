import { hash } from 'node:crypto';

/**
 * SHA-256 applied `count` times over: first to the bytes, then to each digest. 32 bytes, owned.
 *
 * Pauses each millisecond or so, for whoever has other things to do. Digests come back as strings, of
 * which a hundred thousand cost 40 ms; as buffers, 130 ms.
 */
export function* iteratedSha256(bytes: Uint8Array, count: number): Generator<undefined, Buffer> {
  const digest = Buffer.alloc(32);
  digest.write(hash('sha256', bytes, 'binary'), 'latin1');
  for (let done = 1; done < count; done += 1) {
    if (done % HASHES_AT_ONCE === 0) yield;
    digest.write(hash('sha256', digest, 'binary'), 'latin1');
  }
  return digest;
}

const HASHES_AT_ONCE = 2000;
