import assert from 'node:assert/strict';
import { createCipheriv, createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { randomBytes, randomInteger } from '../../../src/crypto/rng.ts';
import {
  FrameFlags,
  FrameOpener,
  FrameSealer,
  MAX_PAYLOAD_BYTES,
  sealedLength,
} from '../../../src/transports/scramblesuit/frames.ts';
import { deriveSessionKeys } from '../../../src/transports/scramblesuit/keys.ts';
import { feedings } from '../../support/feed.ts';
import { holds } from '../../support/properties.ts';
import { seededRng } from '../../support/rng.ts';
import { fromHex, toHex } from '../../support/vectors.ts';

const keys = deriveSessionKeys(Buffer.alloc(32, 5)).clientToServer;

/** Frames as the specification has them, one by one: [flags, payload, padding bytes]. */
function referenceFrames(...frames: [number, Uint8Array, number][]): Buffer {
  const cipher = createCipheriv('aes-256-ctr', keys.key, keys.counter);
  return Buffer.concat(
    frames.map(([flags, payload, paddingBytes]) => {
      const plain = Buffer.alloc(5 + payload.length + paddingBytes);
      plain.writeUInt16BE(payload.length + paddingBytes, 0);
      plain.writeUInt16BE(payload.length, 2);
      plain[4] = flags;
      plain.set(payload, 5);
      const body = cipher.update(plain);
      const mac = createHmac('sha256', keys.macKey).update(body).digest().subarray(0, 16);
      return Buffer.concat([mac, body]);
    }),
  );
}

/** Everything that an opener makes of some chunks. */
function openAll(chunks: readonly Uint8Array[]): {
  payload: Buffer;
  others: (readonly [number, string])[];
  failed: boolean;
  midFrame: boolean;
} {
  const opener = new FrameOpener(keys);
  const payloads: Uint8Array[] = [];
  const others: (readonly [number, string])[] = [];
  let failed = false;
  for (const chunk of chunks) {
    const lent = Uint8Array.from(chunk);
    const opened = opener.open(lent);
    lent.fill(0xaa);
    payloads.push(opened.payload);
    others.push(...opened.others.map(({ kind, content }) => [kind, toHex(content)] as const));
    failed = opened.failure !== undefined;
    if (failed) break;
  }
  return { payload: Buffer.concat(payloads), others, failed, midFrame: opener.midFrame };
}

describe('ScrambleSuit’s keys', () => {
  test('are HKDF-SHA256, expand step only (RFC 5869, appendix A.3)', () => {
    const derived = deriveSessionKeys(
      fromHex('19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04'),
    );
    assert.equal(
      toHex(derived.clientToServer.key),
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    );
    assert.equal(toHex(derived.clientToServer.counter), '9d201395faa4b61a' + '0000000000000001');
    assert.equal(toHex(derived.serverToClient.key).slice(0, 4), '96c8');
  });
});

describe('ScrambleSuit’s frames', () => {
  test('are sealed byte for byte as the specification has them', () => {
    const payload = randomBytes(seededRng('payload'), MAX_PAYLOAD_BYTES + 10);
    const sealer = new FrameSealer(keys);
    const sealed = Buffer.concat([
      sealer.seal(FrameFlags.payload, payload, [7, 0]),
      sealer.seal(FrameFlags.prngSeed, payload.subarray(0, 32), []),
    ]);
    const empty = Buffer.alloc(0);
    const expected = referenceFrames(
      [1, payload.subarray(0, MAX_PAYLOAD_BYTES), 0],
      [1, payload.subarray(MAX_PAYLOAD_BYTES), 0],
      [1, empty, 7],
      [1, empty, 0],
      [4, payload.subarray(0, 32), 0],
    );
    assert.deepEqual(sealed, expected);
    assert.equal(sealedLength(payload.length), 2 * 21 + payload.length);
  });

  test('are opened whole, byte by byte and split at each point', () => {
    const bytes = referenceFrames(
      [1, Buffer.from('first '), 3],
      [2, Buffer.from('ticket'), 0],
      [1, Buffer.alloc(0), 9],
      [1, Buffer.from('second'), 0],
      [9, Buffer.from('unknown'), 1],
    );
    for (const chunks of feedings(bytes)) {
      const { payload, others, failed, midFrame } = openAll(chunks);
      assert.equal(payload.toString(), 'first second');
      assert.deepEqual(others, [
        [2, toHex(Buffer.from('ticket'))],
        [9, toHex(Buffer.from('unknown'))],
      ]);
      assert.ok(!failed && !midFrame);
    }
  });

  test('carry payload of any length, in chunks of any length', () => {
    const rng = seededRng('chunks');
    for (const length of [1, 1427, 1428, 70_000, 200_000]) {
      const payload = randomBytes(rng, length);
      const sealed = new FrameSealer(keys).seal(FrameFlags.payload, payload, [100]);
      const chunks: Buffer[] = [];
      for (let at = 0; at < sealed.length;) {
        const end = at + randomInteger(rng, 1, 20_000);
        chunks.push(sealed.subarray(at, end));
        at = end;
      }
      assert.ok(openAll(chunks).payload.equals(payload), `${length}`);
    }
  });

  test('fail when a single bit is another, and give the payload before it', () => {
    const first = referenceFrames([1, Buffer.from('good'), 0]);
    const bytes = referenceFrames([1, Buffer.from('good'), 0], [1, Buffer.from('bad'), 2]);
    for (let bit = 8 * first.length; bit < 8 * bytes.length; bit += 1) {
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      const { payload, failed, midFrame } = openAll([bytes]);
      assert.equal(payload.toString(), 'good');
      // A changed length may ask for more bytes than there are; nothing is ever delivered of it.
      assert.ok(failed || midFrame, `bit ${bit}`);
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
    }
  });

  test('with lengths that no frame has fail at their header', () => {
    const tooLong = new Uint8Array(MAX_PAYLOAD_BYTES + 1);
    assert.ok(openAll([referenceFrames([1, tooLong, 0]).subarray(0, 21)]).failed);
    assert.ok(!openAll([referenceFrames([1, tooLong.subarray(1), 0])]).failed);
  });

  test('of random bytes deliver nothing and throw nothing', () => {
    holds(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 4 }), (chunks) => {
        assert.equal(openAll(chunks).payload.length, 0);
      }),
    );
  });

  test('that come in pieces are known to be unfinished until their last byte', () => {
    const bytes = referenceFrames([1, Buffer.from('whole'), 0]);
    for (let length = 1; length < bytes.length; length += 1) {
      assert.ok(openAll([bytes.subarray(0, length)]).midFrame, `${length}`);
    }
  });
});
