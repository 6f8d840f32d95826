import { randomBytes, systemRng } from '../../crypto/rng.ts';

const CHUNK_BYTES = 65_536;

/**
 * `count` bytes in chunks, every chunk different from every other: one that is lost, doubled or out of
 * its place changes the digest. Each chunk is the reader's own.
 */
export function* demoBytes(count: number): Generator<Buffer> {
  const block = randomBytes(systemRng, CHUNK_BYTES);
  for (let offset = 0; offset < count; offset += CHUNK_BYTES) {
    const chunk = Buffer.from(block.subarray(0, Math.min(CHUNK_BYTES, count - offset)));
    if (chunk.length >= 6) chunk.writeUIntBE(offset, 0, 6);
    yield chunk;
  }
}
