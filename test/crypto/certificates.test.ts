import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createSelfSigned, derOfPem, hashOfChain } from '../../src/crypto/certificates.ts';

const sha256 = (...parts: Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();

test('the hash of a chain is folded from the leaf on', () => {
  const [leaf, middle, root] = [Buffer.from('leaf'), Buffer.from('middle'), Buffer.from('root')];
  const first = sha256(leaf);
  const second = sha256(first, sha256(middle));
  assert.deepEqual(hashOfChain([leaf]), first);
  assert.deepEqual(hashOfChain([leaf, middle]), second);
  assert.deepEqual(hashOfChain([leaf, middle, root]), sha256(second, sha256(root)));
});

test('a certificate of one’s own is for its name or address, and holds as long as it says', async () => {
  const validity = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
  for (const [host, isAddress] of [
    ['bridge.example', false],
    ['192.0.2.3', true],
    ['2001:db8::3', true],
  ] as const) {
    const { cert, key } = await createSelfSigned(host, isAddress, validity);
    const certificate = new X509Certificate(cert);
    assert.ok(isAddress ? certificate.checkIP(host) : certificate.checkHost(host), host);
    assert.equal(new Date(certificate.validTo).getTime(), validity.notAfter.getTime());
    assert.ok(certificate.verify(certificate.publicKey));
    assert.match(key, /BEGIN PRIVATE KEY/);
    assert.deepEqual(derOfPem(cert), certificate.raw);
  }
});
