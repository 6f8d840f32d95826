import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import type * as UniformDh from '../../src/crypto/uniform-dh.ts';
import {
  generateUniformDhKeyPair,
  UNIFORM_DH_BYTES,
  uniformDhSecret,
} from '../../src/crypto/uniform-dh.ts';
import { scriptedRng, seededRng } from '../support/rng.ts';
import { fromHex, readVectors, toHex } from '../support/vectors.ts';

const vectors = readVectors<{
  keyPairs: { drawn: string; publicKey: string }[];
  agreements: { privateKey: string; peerPublicKey: string; secret: string }[];
  degenerate: string[];
}>('uniform-dh.json');

test('the lowest bit drawn chooses between X and p - X and is then cleared', () => {
  for (const { drawn, publicKey } of vectors.keyPairs) {
    const keyPair = generateUniformDhKeyPair(scriptedRng(fromHex(drawn)));
    assert.equal(toHex(keyPair.publicKey), publicKey);
    const expected = fromHex(drawn);
    expected[expected.length - 1]! &= 0xfe;
    assert.equal(toHex(keyPair.privateKey), toHex(expected));
  }
});

test('private keys of any length give the known secrets, padded to 192 bytes', () => {
  for (const { privateKey, peerPublicKey, secret } of vectors.agreements) {
    assert.equal(toHex(uniformDhSecret(fromHex(privateKey), fromHex(peerPublicKey))!), secret);
  }
});

test('public keys that make the secret guessable are refused', () => {
  const { privateKey } = vectors.agreements[0]!;
  for (const publicKey of vectors.degenerate) {
    assert.equal(uniformDhSecret(fromHex(privateKey), fromHex(publicKey)), undefined);
  }
});

test('two sides agree whatever their coins, also when key pairs are made in between', () => {
  const rng = seededRng('uniform-dh');
  // Half the public keys are no squares; Node 22.12 to 24.0 refuses to compute with those.
  const keyPairs = Array.from({ length: 40 }, () => generateUniformDhKeyPair(rng));
  for (const ours of keyPairs.slice(0, 20)) {
    for (const theirs of keyPairs.slice(20)) {
      const secret = uniformDhSecret(ours.privateKey, theirs.publicKey)!;
      assert.equal(secret.length, UNIFORM_DH_BYTES);
      assert.deepEqual(uniformDhSecret(theirs.privateKey, ours.publicKey), secret);
    }
  }
});

test('the group, which costs 130 ms on Node 24, is made once, by the first use', async (t) => {
  const make = t.mock.method(crypto, 'createDiffieHellman');
  syncBuiltinESMExports();
  t.after(() => {
    make.mock.restore();
    syncBuiltinESMExports();
  });
  const copy = new URL('../../src/crypto/uniform-dh.js?copy', import.meta.url).href;
  const fresh = (await import(copy)) as typeof UniformDh;
  assert.equal(make.mock.callCount(), 0);
  const rng = seededRng('uniform-dh');
  const [ours, theirs] = [fresh.generateUniformDhKeyPair(rng), fresh.generateUniformDhKeyPair(rng)];
  assert.deepEqual(
    fresh.uniformDhSecret(ours.privateKey, theirs.publicKey),
    fresh.uniformDhSecret(theirs.privateKey, ours.publicKey),
  );
  assert.equal(make.mock.callCount(), 1);
});
