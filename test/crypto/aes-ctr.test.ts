import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AesCtrStream } from '../../src/crypto/aes-ctr.ts';
import { fromHex, toHex } from '../support/vectors.ts';

// NIST SP 800-38A, F.5.1 and F.5.5: CTR-AES128 and CTR-AES256.
const counter = fromHex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
const plaintext = fromHex(
  '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
    '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
);
const vectors = [
  {
    key: fromHex('2b7e151628aed2a6abf7158809cf4f3c'),
    ciphertext:
      '874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff' +
      '5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee',
  },
  {
    key: fromHex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4'),
    ciphertext:
      '601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5' +
      '2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6',
  },
];

test('AES-128 and AES-256 give the ciphertexts of NIST, in chunks split at any point', () => {
  for (const { key, ciphertext } of vectors) {
    for (let split = 0; split <= plaintext.length; split += 1) {
      const stream = new AesCtrStream(key, counter);
      const parts = [plaintext.subarray(0, split), plaintext.subarray(split)];
      assert.equal(toHex(Buffer.concat(parts.map((part) => stream.process(part)))), ciphertext);
    }
    const decrypted = new AesCtrStream(key, counter).process(fromHex(ciphertext));
    assert.equal(toHex(decrypted), toHex(plaintext));
  }
});
