import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeLittleEndian,
  encodeLittleEndian,
  modulo,
  P,
  power252Minus3,
} from '../../src/crypto/field25519.ts';
import { fromLimbs, multiply, squareTimes, toLimbs } from '../../src/crypto/field25519-limbs.ts';
import * as naive from '../reference/elligator2.ts';
import { fromHex } from '../support/vectors.ts';

/** Any element, and those where carries are longest: next to zero, to p and to powers of two. */
const element: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: 0n, max: P - 1n }),
  fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: -20, max: 20 }))
    .map(([exponent, offset]) => modulo(2n ** BigInt(exponent) + BigInt(offset))),
);

test('the prime is the one of Curve25519', () => {
  assert.equal(P, naive.P);
});

test('products and squares in doubles are exact', () => {
  fc.assert(
    fc.property(element, element, (a, b) => {
      assert.equal(modulo(fromLimbs(toLimbs(a))), a);
      assert.equal(modulo(fromLimbs(multiply(toLimbs(a), toLimbs(b)))), (a * b) % P);
      assert.equal(modulo(fromLimbs(squareTimes(toLimbs(a), 1))), (a * a) % P);
      // Results that were never reduced go into the next product.
      const product = multiply(squareTimes(toLimbs(a), 3), squareTimes(toLimbs(b), 2));
      assert.equal(modulo(fromLimbs(product)), (a ** 8n * b ** 4n) % P);
    }),
    { numRuns: 1000, seed: 4 },
  );
});

test('the exponentiation equals its naive twin', () => {
  fc.assert(
    fc.property(element, (base) => {
      assert.equal(power252Minus3(base), naive.power(base, 2n ** 252n - 3n));
    }),
    { numRuns: 200, seed: 5 },
  );
});

test('numbers are little-endian, from any place of a buffer', () => {
  const bytes = fromHex(`ffff01${'00'.repeat(29)}0280ffff`);
  const view = bytes.subarray(2, 34);
  assert.equal(decodeLittleEndian(view), 1n + 2n ** 241n + 2n ** 255n);
  assert.deepEqual(encodeLittleEndian(decodeLittleEndian(view)), new Uint8Array(view));
});
