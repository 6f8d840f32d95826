import assert from 'node:assert/strict';
import { test } from 'node:test';
import { _map_to_curve_elligator2_curve25519, ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import {
  generateElligatorKeyPair,
  representativeToPublicKey,
} from '../../src/crypto/elligator2.ts';
import { decodeLittleEndian, encodeLittleEndian } from '../../src/crypto/field25519.ts';
import { x25519 } from '../../src/crypto/x25519.ts';
import { invert, naiveDecode, P } from '../reference/elligator2.ts';
import { scriptedRng, seededRng } from '../support/rng.ts';
import { fromHex, readVectors, toHex } from '../support/vectors.ts';

const vectors = readVectors<{
  keyPairs: {
    privateKey: string;
    tweak: number;
    publicKey: string;
    representative: string | null;
  }[];
  decodings: { representative: string; publicKey: string }[];
}>('elligator2.json');

const anyBytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 32, maxLength: 32 });
const manyKeyPairs = ((rng) => Array.from({ length: 400 }, () => generateElligatorKeyPair(rng)))(
  seededRng('many key pairs'),
);

test('private keys give the known public keys and representatives; points without are skipped', () => {
  const script = vectors.keyPairs.map(({ privateKey, tweak }) =>
    Buffer.concat([fromHex(privateKey), Buffer.of(tweak)]),
  );
  const rng = scriptedRng(Buffer.concat(script));
  for (const expected of vectors.keyPairs) {
    if (expected.representative === null) continue;
    const keyPair = generateElligatorKeyPair(rng);
    assert.equal(toHex(keyPair.privateKey), expected.privateKey);
    assert.equal(toHex(keyPair.publicKey), expected.publicKey);
    assert.equal(toHex(keyPair.representative), expected.representative);
  }
  const skipped = vectors.keyPairs.filter(({ representative }) => representative === null);
  assert.ok(skipped.length > 0);
});

test('representatives give the known public keys', () => {
  for (const { representative, publicKey } of vectors.decodings) {
    assert.equal(toHex(representativeToPublicKey(fromHex(representative))), publicKey);
  }
});

test('any 32 bytes stand for the point that two other implementations find', () => {
  fc.assert(
    fc.property(anyBytes, (representative) => {
      const u = decodeLittleEndian(representativeToPublicKey(representative));
      assert.equal(u, naiveDecode(representative));
      const r = BigInt.asUintN(254, decodeLittleEndian(representative));
      const { xMn, xMd } = _map_to_curve_elligator2_curve25519(r);
      assert.equal(u, (xMn * invert(xMd)) % P);
    }),
    { numRuns: 200, seed: 6 },
  );
});

test('the two top bits of a representative are filling: they change nothing', () => {
  const [{ representative, publicKey }] = manyKeyPairs as [(typeof manyKeyPairs)[0]];
  for (const top of [0x00, 0x40, 0x80, 0xc0]) {
    const filled = Uint8Array.from(representative);
    filled[31] = (filled[31]! & 0x3f) | top;
    assert.equal(toHex(representativeToPublicKey(filled)), toHex(publicKey));
  }
});

test('two key pairs agree, and a representative leads back to its public key', () => {
  for (let index = 0; index + 1 < 100; index += 2) {
    const [ours, theirs] = [manyKeyPairs[index]!, manyKeyPairs[index + 1]!];
    assert.deepEqual(representativeToPublicKey(ours.representative), ours.publicKey);
    const shared = x25519(ours.privateKey, representativeToPublicKey(theirs.representative));
    assert.deepEqual(shared, x25519(theirs.privateKey, ours.publicKey));
  }
});

test('public keys come from the whole curve, not from the prime-order subgroup alone', () => {
  // A censor multiplies by the prime order; what is left has order 1, 2, 4 or 8, and on uniform
  // points 1, 1, 2 and 4 times of 8.
  const counts = new Map<number, number>();
  for (const { publicKey } of manyKeyPairs) {
    const order = lowOrderComponent(publicKey);
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  for (const [order, share] of [
    [1, 1 / 8],
    [2, 1 / 8],
    [4, 2 / 8],
    [8, 4 / 8],
  ] as const) {
    assertLikely(counts.get(order) ?? 0, manyKeyPairs.length, share, `points of order ${order}`);
  }
});

test('every bit of a representative is set in half of the key pairs', () => {
  for (let bit = 0; bit < 256; bit += 1) {
    const set = manyKeyPairs.filter(
      ({ representative }) => (representative[bit >> 3]! >> (bit & 7)) & 1,
    ).length;
    assertLikely(set, manyKeyPairs.length, 1 / 2, `bit ${bit}`);
  }
});

test('representatives choose both roots, as the tweak says', () => {
  // The paper's test for the sign of v: f = u(u + A) times a square tells u from -A - u.
  const first = manyKeyPairs.filter(({ publicKey, representative }) => {
    const r = BigInt.asUintN(254, decodeLittleEndian(representative));
    const u = decodeLittleEndian(publicKey);
    return (2n * r * r * (u + 486_662n) + u) % P === 0n;
  }).length;
  assertLikely(first, manyKeyPairs.length, 1 / 2, 'the first root');
});

/** Fails for a count that a fair draw gives less than once in 10^8 (5.7 standard deviations). */
function assertLikely(count: number, draws: number, share: number, what: string): void {
  const deviation = Math.sqrt(draws * share * (1 - share));
  assert.ok(Math.abs(count - draws * share) < 5.7 * deviation, `${what}: ${count} of ${draws}`);
}

/** The order of the low-order component of the point with this u coordinate. */
function lowOrderComponent(publicKey: Uint8Array): number {
  const u = decodeLittleEndian(publicKey);
  const y = ((u - 1n + P) * invert(u + 1n)) % P;
  const point = ed25519.Point.fromBytes(encodeLittleEndian(y));
  let rest = point.multiplyUnsafe(ed25519.Point.Fn.ORDER - 1n).add(point);
  let order = 1;
  for (; !rest.is0(); rest = rest.double()) order *= 2;
  return order;
}
