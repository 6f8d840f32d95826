import assert from 'node:assert/strict';
import { createHmac, hkdfSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  equalInConstantTime,
  hkdfSha256,
  hmacSha256,
  MacKey,
  sha256,
} from '../../src/crypto/hash.ts';
import { fromHex, toHex } from '../support/vectors.ts';

// RFC 4231, test case 2.
const key = Buffer.from('Jefe');
const parts = [Buffer.from('what do ya want '), Buffer.from('for nothing?')];
const expected = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';

test('HMAC-SHA256 gives the result of RFC 4231, in parts or in one', () => {
  assert.equal(toHex(hmacSha256(key, ...parts)), expected);
  assert.equal(toHex(hmacSha256(key, Buffer.concat(parts))), expected);
});

test('HKDF-SHA256 gives the result of RFC 5869, test case 1', () => {
  const material = hkdfSha256(
    fromHex('000102030405060708090a0b0c'),
    Buffer.alloc(22, 0x0b),
    fromHex('f0f1f2f3f4f5f6f7f8f9'),
    42,
  );
  const okm =
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865';
  assert.equal(toHex(material), okm);
});

test('HMAC and HKDF agree with OpenSSL for keys and inputs of any length', () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, bytes, bytes, fc.integer({ min: 1, max: 300 }), (a, b, c, byteCount) => {
      const expectedMac = createHmac('sha256', a).update(b).update(c).digest();
      assert.deepEqual(hmacSha256(a, b, c), expectedMac);
      const expectedKey = Buffer.from(hkdfSync('sha256', b, a, c, byteCount));
      assert.deepEqual(hkdfSha256(a, b, c, byteCount), expectedKey);
    }),
    { numRuns: 200, seed: 10 },
  );
});

test('SHA-256 gives the result of FIPS 180-2 for "abc", in parts or in one', () => {
  const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(toHex(sha256(Buffer.from('abc'))), abc);
  assert.equal(toHex(sha256(Buffer.from('a'), Buffer.from('bc'))), abc);
});

test('a MacKey keeps its own copy of the key and cuts to 16 bytes', () => {
  const bytes = Uint8Array.from(key);
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
