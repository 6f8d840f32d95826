import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  createWeightedDistribution,
  WeightedDistribution,
} from '../../src/crypto/weighted-distribution.ts';
import { seededRng } from '../support/rng.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const { distributions } = readVectors<{
  distributions: {
    seed: string;
    minimum: number;
    maximum: number;
    values: number[];
    weights: number[];
  }[];
}>('go-rand.json');

test('a seed gives the values and weights that obfs4proxy derives from it', () => {
  for (const { seed, minimum, maximum, values, weights } of distributions) {
    const derived = createWeightedDistribution(fromHex(seed), minimum, maximum);
    assert.deepEqual([...derived.values], values);
    assert.deepEqual([...derived.weights], weights);
  }
});

test('biased weights are parts of what those before them have left, as obfs4proxy draws them', () => {
  for (const { seed, minimum, maximum, values, weights } of distributions) {
    const biased = createWeightedDistribution(fromHex(seed), minimum, maximum, 'biased');
    assert.deepEqual([...biased.values], values);
    let taken = 0;
    for (const [index, weight] of biased.weights.entries()) {
      assert.equal(weight, (1 - taken) * weights[index]!);
      taken += weight;
    }
    assert.ok(taken <= 1);
  }
});

test('samples come as often as their weights say', () => {
  const draws = 20_000;
  const weights = [0.5, 0.01, 0.2, 1, 0.29];
  const distribution = new WeightedDistribution(
    Uint32Array.of(10, 20, 30, 40, 50),
    Float64Array.from(weights),
  );
  const rng = seededRng('samples');
  const counts = new Map<number, number>();
  for (let draw = 0; draw < draws; draw += 1) {
    const value = distribution.sample(rng);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  for (const [index, weight] of weights.entries()) {
    const expected = (draws * weight) / 2;
    const seen = counts.get(10 * (index + 1)) ?? 0;
    assert.ok(Math.abs(seen - expected) < 5 * Math.sqrt(expected), `${seen} for ${expected}`);
  }
});

test('any seed gives 1..100 different values of the range, and only they are drawn', () => {
  const rng = seededRng('any seed');
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 24, maxLength: 24 }),
      fc.nat(1448),
      fc.nat(200),
      (seed, minimum, width) => {
        const { values } = createWeightedDistribution(seed, minimum, minimum + width);
        assert.ok(values.length >= 1 && values.length <= Math.min(100, width + 1));
        assert.equal(new Set(values).size, values.length);
        assert.ok(values.every((value) => value >= minimum && value <= minimum + width));
        const distribution = createWeightedDistribution(seed, minimum, minimum + width);
        for (let draw = 0; draw < 20; draw += 1) {
          assert.ok(values.includes(distribution.sample(rng)));
        }
      },
    ),
    { numRuns: 100, seed: 3 },
  );
});
