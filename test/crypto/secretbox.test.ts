import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BOX_OVERHEAD,
  createNobleSecretbox,
  createSodiumSecretbox,
  open,
  seal,
  secretboxBackend,
} from '../../src/crypto/secretbox.ts';
import { PosternBug } from '../../src/errors.ts';
import { sodiumBoxes } from '../../src/crypto/libraries.ts';
import { fromHex, readVectors, toHex } from '../support/vectors.ts';

const vector = readVectors<Record<'key' | 'nonce' | 'message' | 'box', string>>('secretbox.json');
const backends = [
  ...(sodiumBoxes === undefined ? [] : [createSodiumSecretbox(sodiumBoxes)]),
  createNobleSecretbox(),
];

for (const backend of backends) {
  test(`${backend.name} seals and opens NaCl's own test box`, () => {
    const [key, nonce] = [fromHex(vector.key), fromHex(vector.nonce)];
    const message = fromHex(vector.message);
    const box = new Uint8Array(message.length + BOX_OVERHEAD);
    backend.seal(box, message, nonce, key);
    assert.equal(toHex(box), vector.box);
    const opened = new Uint8Array(message.length);
    assert.equal(backend.open(opened, box, nonce, key), true);
    assert.deepEqual(opened, new Uint8Array(message));
  });

  test(`${backend.name} refuses a box with any bit changed and writes nothing`, () => {
    const box = fromHex(vector.box);
    for (let index = 0; index < box.length; index += 1) {
      const forged = Uint8Array.from(box);
      forged[index]! ^= 1 << (index % 8);
      const opened = new Uint8Array(box.length - BOX_OVERHEAD).fill(7);
      assert.equal(backend.open(opened, forged, fromHex(vector.nonce), fromHex(vector.key)), false);
      assert.ok(opened.every((byte) => byte === 7));
    }
  });

  test(`${backend.name} seals a message that already lies inside its box`, () => {
    const frame = Buffer.concat([Buffer.alloc(BOX_OVERHEAD), fromHex(vector.message)]);
    const message = frame.subarray(BOX_OVERHEAD);
    backend.seal(frame, message, fromHex(vector.nonce), fromHex(vector.key));
    assert.equal(toHex(frame), vector.box);
  });
}

test('a wrong length is a defect of ours, and never the end of the process', () => {
  const lengths = { box: 116, message: 100, nonce: 24, key: 32 };
  for (const wrong of ['box', 'message', 'nonce', 'key'] as const) {
    for (const difference of [-1, 1]) {
      const of = (name: keyof typeof lengths): Uint8Array =>
        new Uint8Array(lengths[name] + (name === wrong ? difference : 0));
      const [box, message, nonce, key] = [of('box'), of('message'), of('nonce'), of('key')];
      assert.throws(() => seal(box, message, nonce, key), PosternBug);
      assert.throws(() => open(message, box, nonce, key), PosternBug);
    }
  }
});

test('the backends agree for any message, nonce and key', () => {
  const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1500 }), bytes(24), bytes(32), (message, nonce, key) => {
      const [first, ...others] = backends.map((backend) => {
        const box = new Uint8Array(message.length + BOX_OVERHEAD);
        backend.seal(box, message, nonce, key);
        return box;
      });
      for (const other of others) assert.deepEqual(other, first);
      for (const backend of backends) {
        const opened = new Uint8Array(message.length);
        assert.equal(backend.open(opened, first!, nonce, key), true);
        assert.deepEqual(opened, message);
      }
    }),
    { numRuns: 100, seed: 2 },
  );
});

test('the backend in use is sodium-native wherever it loads', () => {
  assert.equal(secretboxBackend, backends[0]!.name);
  const box = new Uint8Array(fromHex(vector.box).length);
  seal(box, fromHex(vector.message), fromHex(vector.nonce), fromHex(vector.key));
  assert.equal(toHex(box), vector.box);
  const opened = new Uint8Array(box.length - BOX_OVERHEAD);
  assert.equal(open(opened, box, fromHex(vector.nonce), fromHex(vector.key)), true);
});
