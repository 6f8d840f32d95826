import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import fc from 'fast-check';
import { systemRng } from '../../../src/crypto/rng.ts';
import { SipHashDrbg } from '../../../src/crypto/siphash-drbg.ts';
import {
  FrameOpener,
  FrameSealer,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  PacketType,
  sealedBytes,
} from '../../../src/transports/obfs4/frames.ts';

const NONE = Buffer.alloc(0);
const keys = Buffer.from(Array.from({ length: 72 }, (_, index) => index));

/** obfs4 framing once more, as slow and as plain as it can be said. */
function naiveFrames(packets: readonly Buffer[]): Buffer {
  const mask = new SipHashDrbg(keys.subarray(48));
  return Buffer.concat(
    packets.flatMap((packet, index) => {
      const nonce = Buffer.alloc(24);
      keys.copy(nonce, 0, 32, 48);
      nonce.writeBigUInt64BE(BigInt(index + 1), 16);
      const box = xsalsa20poly1305(keys.subarray(0, 32), nonce).encrypt(packet);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(box.length ^ mask.nextMask());
      return [length, Buffer.from(box)];
    }),
  );
}

function packet(type: number, payload: Uint8Array, paddingBytes = 0): Buffer {
  const header = Buffer.from([type, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([header, payload, Buffer.alloc(paddingBytes)]);
}

function openAll(opener: FrameOpener, chunks: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    chunks.map((chunk) => {
      const { payload, failure } = opener.open(chunk);
      assert.equal(failure, undefined);
      return Buffer.from(payload);
    }),
  );
}

const pattern = (length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff));

test('frames are those of the plain twin, whatever the length of a chunk', () => {
  for (const length of [1, 1426, 1427, 1428, 2854, 65_536, 200_000]) {
    const payload = pattern(length);
    const packets: Buffer[] = [];
    for (let at = 0; at < length; at += MAX_PAYLOAD_BYTES) {
      packets.push(packet(PacketType.payload, payload.subarray(at, at + MAX_PAYLOAD_BYTES)));
    }
    assert.deepEqual(new FrameSealer(keys).sealBurst(payload, []), naiveFrames(packets));
  }
});

test('a burst ends in the padding asked for, and its length is known beforehand', () => {
  for (const length of [0, 10, 65_536, 70_000]) {
    const payload = pattern(length);
    const packets: Buffer[] = [];
    for (let at = 0; at < length; at += MAX_PAYLOAD_BYTES) {
      packets.push(packet(PacketType.payload, payload.subarray(at, at + MAX_PAYLOAD_BYTES)));
    }
    assert.equal(new FrameSealer(keys).sealBurst(payload, []).length, sealedBytes(length));
    const padded = [...packets, packet(0, NONE, 1427), packet(0, NONE, 3)];
    assert.deepEqual(new FrameSealer(keys).sealBurst(payload, [1427, 3]), naiveFrames(padded));
  }
});

test('the seed travels in a packet of its own type', () => {
  assert.deepEqual(
    new FrameSealer(keys).sealSeed(pattern(24)),
    naiveFrames([packet(PacketType.prngSeed, pattern(24))]),
  );
});

test('frames split anywhere open to the same payload', () => {
  const payload = pattern(4000);
  const frames = new FrameSealer(keys).sealBurst(payload, []);
  for (let at = 1; at < frames.length; at += 1) {
    const opener = new FrameOpener(keys, systemRng);
    const opened = openAll(opener, [frames.subarray(0, at), frames.subarray(at)]);
    assert.ok(opened.equals(payload), `split at ${at}`);
    assert.equal(opener.midFrame, false);
  }
  const bytewise = Array.from(frames, (byte) => Uint8Array.of(byte));
  assert.ok(openAll(new FrameOpener(keys, systemRng), bytewise).equals(payload));
});

test('random chunks in random pieces come out as they went in', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 5000 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 20 }),
      (chunks, pieces) => {
        const sealer = new FrameSealer(keys);
        const wire = Buffer.concat(chunks.map((chunk) => sealer.sealBurst(chunk, [])));
        const parts: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < wire.length; turn += 1) {
          const size = pieces[turn % pieces.length]!;
          parts.push(wire.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(openAll(new FrameOpener(keys, systemRng), parts), Buffer.concat(chunks));
      },
    ),
    { seed: 4, numRuns: 60 },
  );
});

test('a chunk that was handed in is neither kept nor changed', () => {
  const frames = new FrameSealer(keys).sealBurst(pattern(100), []);
  const head = Buffer.from(frames.subarray(0, 60));
  const opener = new FrameOpener(keys, systemRng);
  opener.open(head);
  assert.deepEqual(head, frames.subarray(0, 60));
  head.fill(0);
  const { payload } = opener.open(frames.subarray(60));
  assert.deepEqual(Buffer.from(payload), pattern(100));
});

test('unknown packet types and padding are ignored, the seed is handed up', () => {
  const wire = naiveFrames([
    packet(9, pattern(50)),
    packet(PacketType.payload, Buffer.from('a'), 30),
    packet(PacketType.prngSeed, pattern(23)),
    packet(PacketType.prngSeed, pattern(24)),
    packet(PacketType.payload, Buffer.alloc(0), 5),
    packet(PacketType.payload, Buffer.from('b')),
  ]);
  const { payload, others, failure } = new FrameOpener(keys, systemRng).open(wire);
  assert.equal(Buffer.from(payload).toString(), 'ab');
  assert.deepEqual(
    others.map(({ content }) => Buffer.from(content)),
    [pattern(24)],
  );
  assert.equal(failure, undefined);
});

test('what came before a forged frame is handed up with the failure', () => {
  const wire = naiveFrames([packet(0, Buffer.from('good')), packet(0, Buffer.from('bad'))]);
  wire[wire.length - 1]! ^= 1;
  const { payload, failure } = new FrameOpener(keys, systemRng).open(wire);
  assert.equal(Buffer.from(payload).toString(), 'good');
  assert.equal(failure?.code, 'ERR_FRAME_MALFORMED');
});

test('a packet that claims more than its frame holds, or that has no header, fails', () => {
  const liar = packet(0, Buffer.from('abc'));
  liar[2] = 4;
  for (const bad of [liar, Buffer.alloc(0), Buffer.alloc(2)]) {
    const { failure } = new FrameOpener(keys, systemRng).open(naiveFrames([bad]));
    assert.equal(failure?.code, 'ERR_FRAME_MALFORMED');
  }
});

test('a bad length is no oracle: the failure comes where some frame could have ended', () => {
  const distances = new Set<number>();
  for (let run = 0; run < 40; run += 1) {
    const wire = Buffer.concat([
      new FrameSealer(keys).sealBurst(pattern(600), []),
      Buffer.alloc(1500),
    ]);
    wire[0]! ^= 0x80;
    const opener = new FrameOpener(keys, systemRng);
    let fed = 0;
    while (opener.open(wire.subarray(fed, fed + 1)).failure === undefined) fed += 1;
    assert.ok(fed + 1 >= 2 + 16 && fed + 1 <= MAX_FRAME_BYTES, `failed after ${fed + 1} bytes`);
    distances.add(fed);
  }
  assert.ok(distances.size > 10, 'the place of the failure is random');
});

test('no bytes, however wrong, make the opener throw or hold more than a frame', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4000 }), (garbage) => {
      const { failure } = new FrameOpener(keys, systemRng).open(garbage);
      if (garbage.length >= MAX_FRAME_BYTES) assert.equal(failure?.code, 'ERR_FRAME_MALFORMED');
    }),
    { seed: 5, numRuns: 200 },
  );
});
