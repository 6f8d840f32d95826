import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalInConstantTime, hmacSha256, MacKey, sha256 } from '../../src/crypto/hash.ts';
import { toHex } from '../support/vectors.ts';

// RFC 4231, test case 2.
const key = 'Jefe';
const parts = [Buffer.from('what do ya want '), Buffer.from('for nothing?')];
const expected = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';

test('HMAC-SHA256 gives the result of RFC 4231, in parts or in one', () => {
  assert.equal(toHex(hmacSha256(key, ...parts)), expected);
  assert.equal(toHex(hmacSha256(Buffer.from(key), Buffer.concat(parts))), expected);
});

test('SHA-256 gives the result of FIPS 180-2 for "abc", in parts or in one', () => {
  const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(toHex(sha256(Buffer.from('abc'))), abc);
  assert.equal(toHex(sha256(Buffer.from('a'), Buffer.from('bc'))), abc);
});

test('a MacKey keeps its own copy of the key and cuts to 16 bytes', () => {
  const bytes = Buffer.from(key);
  const macKey = new MacKey(bytes);
  bytes.fill(0);
  assert.equal(toHex(macKey.mac128(...parts)), expected.slice(0, 32));
  assert.equal(toHex(macKey.mac128(...parts)), expected.slice(0, 32));
});

test('secrets are equal only in length and in every byte', () => {
  assert.equal(equalInConstantTime(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  assert.equal(equalInConstantTime(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
  assert.equal(equalInConstantTime(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)), false);
});
