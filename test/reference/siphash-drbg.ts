/** obfs4's DRBG in the plainest way: SipHash-2-4 over BigInt, from the start for every block. */

const MASK = (1n << 64n) - 1n;

export function* naiveDrbgBlocks(seed: Uint8Array): Generator<Buffer, never> {
  const absorbed: Buffer[] = [Buffer.from(seed.subarray(16, 24))];
  for (;;) {
    const block = sipHash24(seed.subarray(0, 16), Buffer.concat(absorbed));
    yield block;
    absorbed.push(block);
  }
}

export function sipHash24(key: Uint8Array, message: Uint8Array): Buffer {
  const k0 = Buffer.from(key).readBigUInt64LE(0);
  const k1 = Buffer.from(key).readBigUInt64LE(8);
  const v = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ] as [bigint, bigint, bigint, bigint];
  const padded = Buffer.alloc(8 * (Math.floor(message.length / 8) + 1));
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let offset = 0; offset < padded.length; offset += 8) {
    const word = padded.readBigUInt64LE(offset);
    v[3] ^= word;
    sipRound(v);
    sipRound(v);
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  for (let round = 0; round < 4; round += 1) sipRound(v);
  const digest = Buffer.alloc(8);
  digest.writeBigUInt64LE(v[0] ^ v[1] ^ v[2] ^ v[3]);
  return digest;
}

function sipRound(v: [bigint, bigint, bigint, bigint]): void {
  v[0] = (v[0] + v[1]) & MASK;
  v[1] = rotate(v[1], 13n) ^ v[0];
  v[0] = rotate(v[0], 32n);
  v[2] = (v[2] + v[3]) & MASK;
  v[3] = rotate(v[3], 16n) ^ v[2];
  v[0] = (v[0] + v[3]) & MASK;
  v[3] = rotate(v[3], 21n) ^ v[0];
  v[2] = (v[2] + v[1]) & MASK;
  v[1] = rotate(v[1], 17n) ^ v[2];
  v[2] = rotate(v[2], 32n);
}

function rotate(word: bigint, bits: bigint): bigint {
  return ((word << bits) | (word >> (64n - bits))) & MASK;
}
