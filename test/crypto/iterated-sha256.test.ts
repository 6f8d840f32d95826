import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { iteratedSha256 } from '../../src/crypto/iterated-sha256.ts';

function finish(work: Generator<undefined, Buffer>): Buffer {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

test('iterated SHA-256 hashes the bytes once and then each digest', () => {
  const abc = Buffer.from('abc');
  // FIPS 180-2, appendix B.1.
  const once = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(finish(iteratedSha256(abc, 1)).toString('hex'), once);
  let digest: Buffer = abc;
  for (let count = 0; count < 5000; count += 1)
    digest = createHash('sha256').update(digest).digest();
  assert.deepEqual(finish(iteratedSha256(abc, 5000)), digest);
});
