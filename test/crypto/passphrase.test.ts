import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  formatPassphraseHash,
  hashPassphrase,
  parsePassphraseHash,
  verifyPassphrase,
} from '../../src/crypto/passphrase.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { holds } from '../support/properties.ts';
import { seededRng } from '../support/rng.ts';

/** Printed by `tor --hash-password hello`, Tor 0.4.9. */
const TOR_HASH_OF_HELLO = '16:9696F4EAF70FD47060A9AD74DE0724EFA86F064E7D339AD410F4F60393';
const hello = Buffer.from('hello');

describe('passphrase hashes', () => {
  test('[TC-4.1-04] a hash that tor printed is matched by its passphrase and by no other', () => {
    const hash = parsePassphraseHash(TOR_HASH_OF_HELLO);
    assert.ok(verifyPassphrase(hello, hash));
    for (const wrong of ['', 'hell', 'hello ', 'Hello', 'hellohello']) {
      assert.ok(!verifyPassphrase(Buffer.from(wrong), hash), wrong);
    }
  });

  test('the base64 that Tors of 2005 wrote says the same', () => {
    const base64 = Buffer.from(TOR_HASH_OF_HELLO.slice(3), 'hex').toString('base64');
    assert.deepEqual(parsePassphraseHash(base64), parsePassphraseHash(TOR_HASH_OF_HELLO));
    assert.deepEqual(
      parsePassphraseHash(base64.replace('=', '')),
      parsePassphraseHash(TOR_HASH_OF_HELLO),
    );
    assert.equal(formatPassphraseHash(parsePassphraseHash(base64)), TOR_HASH_OF_HELLO);
  });

  test('[TC-4.1-04] two hashes of one passphrase differ, and both match', () => {
    const [first, second] = [hashPassphrase(hello, systemRng), hashPassphrase(hello, systemRng)];
    assert.notEqual(formatPassphraseHash(first), formatPassphraseHash(second));
    assert.ok(verifyPassphrase(hello, first) && verifyPassphrase(hello, second));
  });

  test('any passphrase matches its own hash, also one longer than what is hashed', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 100 }), (passphrase) => {
        const hash = parsePassphraseHash(
          formatPassphraseHash(hashPassphrase(passphrase, seededRng('salt'))),
        );
        assert.ok(verifyPassphrase(passphrase, hash));
        assert.ok(!verifyPassphrase(Buffer.concat([passphrase, Buffer.of(1)]), hash));
      }),
      50,
    );
    const long = Buffer.alloc(70_000, 'x');
    assert.ok(verifyPassphrase(long, hashPassphrase(long, systemRng)));
  });

  test('what is not 29 bytes in one of the two forms is refused', () => {
    const texts = [
      '',
      '16:',
      TOR_HASH_OF_HELLO.slice(0, -1),
      `${TOR_HASH_OF_HELLO}0`,
      TOR_HASH_OF_HELLO.slice(3),
      `16:${'G'.repeat(58)}`,
      'hello',
      'A'.repeat(38),
      'A'.repeat(41),
    ];
    for (const text of texts) {
      assert.throws(() => parsePassphraseHash(text), { code: 'ERR_PASSPHRASE_HASH' }, text);
    }
  });
});
