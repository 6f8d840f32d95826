import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWeightedDistribution } from '../../src/crypto/weighted-distribution.ts';
import { DistributionCache } from '../../src/transports/distribution-cache.ts';

function seedOf(number: number): Buffer {
  const seed = Buffer.alloc(24);
  seed.writeUInt32BE(number);
  return seed;
}

test('connections to one bridge share a distribution, whatever else tells two apart', () => {
  const cache = new DistributionCache();
  const made = cache.derive(seedOf(1), 0, 100);
  assert.deepEqual(made, createWeightedDistribution(seedOf(1), 0, 100));
  assert.equal(cache.derive(seedOf(1), 0, 100), made);
  for (const other of [
    cache.derive(seedOf(2), 0, 100),
    cache.derive(seedOf(1), 1, 100),
    cache.derive(seedOf(1), 0, 101),
    cache.derive(seedOf(1), 0, 100, 'biased'),
  ]) {
    assert.notEqual(other, made);
  }
});

test('a bridge that sends a seed of its own to each connection fills no memory', () => {
  const cache = new DistributionCache();
  for (let number = 0; number < 300; number += 1) cache.derive(seedOf(number), 0, 100);
  assert.equal(cache.size, 64);
  const latest = cache.derive(seedOf(299), 0, 100);
  assert.equal(cache.derive(seedOf(299), 0, 100), latest);
  assert.equal(cache.size, 64);
});
