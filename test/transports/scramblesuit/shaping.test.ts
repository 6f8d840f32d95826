import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createWeightedDistribution } from '../../../src/crypto/weighted-distribution.ts';
import { burstPaddings, createShaper } from '../../../src/transports/scramblesuit/shaping.ts';
import { holds } from '../../support/properties.ts';
import { seededRng } from '../../support/rng.ts';

const seed = Buffer.from(Array.from({ length: 32 }, (_, index) => index));

describe('ScrambleSuit’s shaping', () => {
  test('pads as obfs4proxy does', () => {
    for (const [burstBytes, target, paddings] of [
      [100, 300, [179]],
      [100, 121, [0]],
      // Less than a frame is missing: a segment more, in two frames.
      [100, 120, [679, 747]],
      [100, 100, [1427]],
      [100, 50, [1377]],
      [1448 + 30, 1448, [1397]],
      [1448, 21, [0]],
    ] as const) {
      assert.deepEqual(burstPaddings(burstBytes, target), paddings, `${burstBytes} ${target}`);
    }
  });

  test('brings the last segment of any burst to its length, in frames that there can be', () => {
    const bursts = fc.integer({ min: 0, max: 100_000 });
    holds(
      fc.property(bursts, fc.integer({ min: 21, max: 1448 }), (burstBytes, target) => {
        const paddings = burstPaddings(burstBytes, target);
        const total = paddings.reduce((sum, count) => sum + count + 21, burstBytes);
        assert.equal(total % 1448, target % 1448);
        assert.ok(paddings.every((count) => count >= 0 && count <= 1427));
      }),
      2000,
    );
  });

  test('draws from the biased distributions of the seed’s first 24 bytes', () => {
    const shaper = createShaper(Buffer.alloc(32), seededRng('shaper'));
    shaper.reseed(seed);
    const { values } = createWeightedDistribution(seed.subarray(0, 24), 21, 1448, 'biased');
    for (let draw = 0; draw < 1000; draw += 1) {
      assert.ok(values.includes(shaper.sampleLength()));
      const delayMs = shaper.sampleDelayMs();
      assert.ok(delayMs >= 0 && delayMs <= 10);
    }
  });
});
