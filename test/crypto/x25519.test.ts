import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sodium } from '../../src/crypto/libraries.ts';
import { createNobleCurve, createSodiumCurve } from '../../src/crypto/x25519.ts';
import { fromHex, readVectors, toHex } from '../support/vectors.ts';

const { vectors, zeroPoints } = readVectors<{
  vectors: { scalar: string; u: string; result: string }[];
  zeroPoints: string[];
}>('x25519.json');

const noble = createNobleCurve();
const backends = {
  '@noble/curves': noble,
  ...(sodium === undefined ? {} : { 'sodium-native': createSodiumCurve(sodium) }),
};
const anyBytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 32, maxLength: 32 });

for (const [name, curve] of Object.entries(backends)) {
  test(`${name} gives the results of RFC 7748`, () => {
    for (const { scalar, u, result } of vectors) {
      assert.equal(toHex(curve.x25519(fromHex(scalar), fromHex(u))!), result);
    }
  });

  test(`${name} refuses every public key that makes the secret zero`, () => {
    const privateKey = fromHex(vectors[0]!.scalar);
    for (const point of zeroPoints)
      assert.equal(curve.x25519(privateKey, fromHex(point)), undefined);
  });
}

test('the backends agree for any key', { skip: sodium === undefined }, () => {
  const fast = createSodiumCurve(sodium!);
  const lowOrder = fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85');
  fc.assert(
    fc.property(anyBytes, anyBytes, (privateKey, publicKey) => {
      assert.deepEqual(fast.x25519PublicKey(privateKey), noble.x25519PublicKey(privateKey));
      assert.deepEqual(fast.x25519(privateKey, publicKey), noble.x25519(privateKey, publicKey));
      assert.deepEqual(
        fast.edwardsPublicPointPlus(privateKey, lowOrder),
        noble.edwardsPublicPointPlus(privateKey, lowOrder),
      );
    }),
    { numRuns: 30, seed: 7 },
  );
});
