import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GoRand } from '../../src/crypto/go-rand.ts';
import { SipHashDrbg } from '../../src/crypto/siphash-drbg.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const { rand: vectors } = readVectors<{
  rand: { seed: string; intn: [number, number][]; float64: number[]; perm: number[] }[];
}>('go-rand.json');

test("Intn, Float64 and Perm give Go's own numbers from the same blocks", () => {
  for (const { seed, intn, float64, perm } of vectors) {
    const rand = new GoRand(new SipHashDrbg(fromHex(seed)));
    for (const [bound, expected] of intn) assert.equal(rand.intn(bound), expected);
    for (const expected of float64) assert.equal(rand.float64(), expected);
    assert.deepEqual([...rand.perm(perm.length)], perm);
  }
});

test('Intn draws again when the block falls into the last, incomplete multiple', () => {
  const blocks = [2 ** 31 - 1, 2 ** 31 - 2, 2 ** 31 - 3];
  const rand = new GoRand({ nextInt31: () => blocks.shift()!, nextInt63AsFloat: () => 0 });
  // 2^31 = 3 * 715827882 + 2: the two topmost values are left over.
  assert.equal(rand.intn(3), (2 ** 31 - 3) % 3);
  assert.equal(blocks.length, 0);
});

test('Float64 draws again when the division rounds up to 1', () => {
  const blocks = [2 ** 63, 2 ** 62];
  const rand = new GoRand({ nextInt31: () => 0, nextInt63AsFloat: () => blocks.shift()! });
  assert.equal(rand.float64(), 0.5);
});
