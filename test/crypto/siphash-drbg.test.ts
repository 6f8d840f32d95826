import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SipHashDrbg } from '../../src/crypto/siphash-drbg.ts';
import { naiveDrbgBlocks, sipHash24 } from '../reference/siphash-drbg.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const { vectors } = readVectors<{ vectors: { seed: string; int63: string[] }[] }>(
  'siphash-drbg.json',
);

test('the DRBG gives the known blocks, read the three ways that obfs4 reads them', () => {
  for (const { seed, int63 } of vectors) {
    const [top, whole, mask] = [0, 1, 2].map(() => new SipHashDrbg(fromHex(seed)));
    for (const expected of int63.map(BigInt)) {
      assert.equal(BigInt(top!.nextInt31()), expected >> 32n);
      assert.equal(whole!.nextInt63AsFloat(), Number(expected));
      // Int63 clears the top bit of the block, so one bit of the mask is not known from it.
      assert.equal(BigInt(mask!.nextMask() & 0x7fff), expected >> 48n);
    }
  }
});

test('the naive twin hashes the test message of the SipHash paper', () => {
  const key = Uint8Array.from({ length: 16 }, (_, index) => index);
  const message = Uint8Array.from({ length: 15 }, (_, index) => index);
  assert.equal(sipHash24(key, message).readBigUInt64LE(), 0xa129ca6149be45e5n);
});

test('the DRBG equals its naive twin for any seed, past the point where the length wraps', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), (seed) => {
      const masks = new SipHashDrbg(seed);
      const floats = new SipHashDrbg(seed);
      const blocks = naiveDrbgBlocks(seed);
      for (let count = 0; count < 40; count += 1) {
        const block = blocks.next().value;
        assert.equal(masks.nextMask(), block.readUInt16BE());
        assert.equal(
          floats.nextInt63AsFloat(),
          Number(block.readBigUInt64BE() & ((1n << 63n) - 1n)),
        );
      }
    }),
    { numRuns: 50, seed: 1 },
  );
});

test('the seed is copied, and instances do not disturb each other', () => {
  const seed = fromHex(vectors[1]!.seed);
  const first = new SipHashDrbg(seed);
  const expected = [...take(new SipHashDrbg(seed), 6)];
  const second = new SipHashDrbg(fromHex(vectors[2]!.seed));
  seed.fill(0);
  const seen: number[] = [];
  for (let count = 0; count < 6; count += 1) {
    seen.push(first.nextMask());
    second.nextMask();
  }
  assert.deepEqual(seen, expected);
});

function* take(drbg: SipHashDrbg, count: number): Generator<number> {
  for (let index = 0; index < count; index += 1) yield drbg.nextMask();
}
