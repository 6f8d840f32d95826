import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { mock, test } from 'node:test';
import {
  randomBytes,
  randomFloat53,
  randomInteger,
  systemRng,
  type Rng,
} from '../../src/crypto/rng.ts';
import { scriptedRng, seededRng } from '../support/rng.ts';
import { fromHex, toHex } from '../support/vectors.ts';

test('randomBytes hands out what the generator gives', () => {
  assert.equal(toHex(randomBytes(scriptedRng(fromHex('0102030405')), 5)), '0102030405');
});

test('randomInteger rejects the incomplete multiple at the top, so that no value is favoured', () => {
  // 2^32 mod 10 = 6: the six topmost words are left over.
  assert.equal(randomInteger(scriptedRng(fromHex('fffffffa00000017')), 100, 109), 103);
  assert.equal(randomInteger(scriptedRng(fromHex('fffffff9')), 0, 9), (2 ** 32 - 7) % 10);
  assert.equal(randomInteger(scriptedRng(fromHex('00000000')), 7, 7), 7);
});

test('randomInteger reaches both ends and nothing beyond', () => {
  const rng = seededRng('integers');
  const seen = new Set<number>();
  for (let draw = 0; draw < 200; draw += 1) seen.add(randomInteger(rng, -2, 2));
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    [-2, -1, 0, 1, 2],
  );
});

test('randomFloat53 spans [0, 1) with all of its 53 bits', () => {
  assert.equal(randomFloat53(scriptedRng(fromHex('ffffffffffffffff'))), 1 - 2 ** -53);
  assert.equal(randomFloat53(scriptedRng(fromHex('0000000000000001'))), 2 ** -53);
  assert.equal(randomFloat53(scriptedRng(fromHex('ffe0000000000000'))), 0);
});

test('the system generator fills all of a target of any length, with something new each time', () => {
  assert.equal(everyByteChanges(systemRng, 63), true);
  assert.equal(everyByteChanges(systemRng, 64), true);
  assert.equal(everyByteChanges(systemRng, 65), true);
  const seen = new Set<string>();
  for (let draw = 0; draw < 500; draw += 1) seen.add(toHex(randomBytes(systemRng, 16)));
  assert.equal(seen.size, 500);
});

/** Whether 30 draws leave no byte of the target untouched; by chance one stays with 2^-240. */
function everyByteChanges(rng: Rng, length: number): boolean {
  const touched = new Uint8Array(length);
  for (let draw = 0; draw < 30; draw += 1) {
    const target = new Uint8Array(length + 2);
    rng.fill(target.subarray(1, 1 + length));
    assert.equal(target[0], 0);
    assert.equal(target[length + 1], 0);
    for (let index = 0; index < length; index += 1) touched[index]! |= target[1 + index]!;
  }
  return touched.every((byte) => byte !== 0);
}

test('what the system generator has handed out is wiped from its pool', async (t) => {
  const pools: Uint8Array[] = [];
  const { randomFillSync } = crypto;
  const fill = (target: Uint8Array): Uint8Array => {
    pools.push(target);
    return randomFillSync(target);
  };
  t.mock.method(crypto, 'randomFillSync', fill);
  syncBuiltinESMExports();
  t.after(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
  });
  const drawn = Buffer.alloc(16);
  // Until the pool is drawn anew.
  while (pools.length === 0) systemRng.fill(drawn);
  const [pool] = pools;
  systemRng.fill(drawn);
  const isInPool = Buffer.from(pool!).includes(drawn);
  assert.ok(!isInPool);
  assert.deepEqual(pool!.subarray(0, 32), new Uint8Array(32));
  assert.notDeepEqual(pool!.subarray(32, 64), new Uint8Array(32));
});
