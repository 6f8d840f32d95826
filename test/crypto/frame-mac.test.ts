import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameMac } from '../../src/crypto/frame-mac.ts';
import { holds } from '../support/properties.ts';
import { fromHex, toHex } from '../support/vectors.ts';

/** The MAC of the bytes, through a buffer that holds something on either side of them. */
function macOf(key: Uint8Array, message: Uint8Array): string {
  const bytes = Buffer.concat([Buffer.alloc(19, 0xaa), message, Buffer.alloc(7, 0xbb)]);
  new FrameMac(key).write(bytes, 2, 19, 19 + message.length);
  assert.equal(toHex(bytes.subarray(0, 2)), 'aaaa');
  assert.equal(toHex(bytes.subarray(18, 19)), 'aa');
  return toHex(bytes.subarray(2, 18));
}

test('frame MACs are HMAC-SHA256 cut to 16 bytes (RFC 4231, cases 1, 2 and 4)', () => {
  assert.equal(
    macOf(Buffer.alloc(20, 0x0b), Buffer.from('Hi There')),
    'b0344c61d8db38535ca8afceaf0bf12b',
  );
  assert.equal(
    macOf(Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?')),
    '5bdcc146bf60754e6a042426089575c7',
  );
  assert.equal(
    macOf(fromHex('0102030405060708090a0b0c0d0e0f10111213141516171819'), Buffer.alloc(50, 0xcd)),
    '82558a389a443c0ea4cc819899f2083a',
  );
});

test('frame MACs agree with node:crypto for frames of every length, in any order', () => {
  holds(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.array(fc.uint8Array({ maxLength: 2000, size: 'max' }), { maxLength: 5 }),
      (key, messages) => {
        for (const message of messages) {
          const digest = createHmac('sha256', key).update(message).digest();
          assert.equal(macOf(key, message), toHex(digest.subarray(0, 16)));
        }
      },
    ),
    50,
  );
});

test('a MAC matches its own bytes, and nothing else in which a single bit differs', () => {
  const mac = new FrameMac(Buffer.alloc(32, 7));
  const bytes = Buffer.alloc(16 + 40, 3);
  mac.write(bytes, 0, 16, 56);
  assert.ok(mac.matches(bytes, 0, 16, 56));
  assert.ok(!new FrameMac(Buffer.alloc(32, 8)).matches(bytes, 0, 16, 56));
  for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
    bytes[bit >>> 3]! ^= 1 << (bit & 7);
    assert.ok(!mac.matches(bytes, 0, 16, 56), `bit ${bit}`);
    bytes[bit >>> 3]! ^= 1 << (bit & 7);
  }
});
