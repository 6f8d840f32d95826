/** 1,000,000 random frames at the server machine and the client machine: no crash, no growth. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createControlClientMachine } from '../../src/control/client.ts';
import { encodeReply } from '../../src/control/encode.ts';
import type { ControlRequest } from '../../src/control/messages.ts';
import { createControlServerMachine } from '../../src/control/server.ts';
import { seededRng } from '../support/rng.ts';

const FRAMES = 1_000_000;
const BATCH = 1000;
/** What a megabyte of frames may leave behind at most, once the garbage is collected. */
const GROWTH_BYTES = 8 * 1024 * 1024;

const DONE = encodeReply({ type: 'done' });
const rng = seededRng('control frames');
const noise = Buffer.alloc(1 << 20);
rng.fill(noise);

/** Frames whose types are mostly known and whose bodies are short; one in eight has bits flipped. */
function randomFrames(round: number): Buffer {
  const frames = Buffer.alloc(BATCH * 20);
  let end = 0;
  let at = (round * 7919) % (noise.length - BATCH * 20);
  for (let count = 0; count < BATCH; count += 1) {
    const [kind, size] = [noise[at]!, noise[at + 1]! % 16];
    frames.writeUInt16BE(size, end);
    frames.writeUInt16BE(kind < 240 ? kind % 14 : kind * 257, end + 2);
    noise.copy(frames, end + 4, at + 2, at + 2 + size);
    // Small codes are the ones that lead further in.
    if (kind & 1) for (let index = 0; index < size; index += 1) frames[end + 4 + index]! &= 0x07;
    end += 4 + size;
    at += 2 + size;
  }
  return frames.subarray(0, end);
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** Runs batches until all frames are through, and compares the memory before and after. */
function pourIn(take: (frames: Buffer, round: number) => void): void {
  for (let round = 0; round < 20; round += 1) take(randomFrames(round), round);
  const before = heapBytes();
  for (let round = 0; round < FRAMES / BATCH; round += 1) take(randomFrames(round), round);
  const grown = heapBytes() - before;
  assert.ok(grown < GROWTH_BYTES, `${grown} bytes more`);
}

describe('a million random frames', () => {
  test('[TC-2-04] [TC-3.1-14] at one open server connection, which answers each one', () => {
    const machine = createControlServerMachine({
      isAuthentic: (secret) => secret.length > 8,
      open: true,
    });
    let answered = 0;
    let taken = 0;
    pourIn((frames) => {
      let actions = machine.receive(frames);
      taken += BATCH;
      while (actions.length > 0) {
        const last = actions.at(-1)!;
        for (const action of actions) {
          assert.notEqual(action.type, 'close');
          if (action.type !== 'send') continue;
          answered += 1;
          if (action.bytes[3] === 0) assert.ok(action.bytes[4] === 0 && action.bytes[5]! <= 9);
        }
        actions = last.type === 'perform' ? machine.answer(DONE) : [];
      }
    });
    assert.equal(answered, taken);
  });

  test('at server connections that nobody has authenticated on, each of which ends', () => {
    let connections = 0;
    pourIn((frames, round) => {
      const machine = createControlServerMachine({ isAuthentic: () => false });
      connections += 1;
      let closed = false;
      for (let at = 0; at < frames.length; at += 50 + (round % 13)) {
        for (const action of machine.receive(frames.subarray(at, at + 50 + (round % 13)))) {
          assert.ok(action.type === 'send' || action.type === 'close');
          if (action.type === 'close') closed = true;
        }
      }
      assert.ok(closed);
    });
    assert.ok(connections > 1000);
  });

  test('[TC-2-05] at client connections, which take them or break off', () => {
    const requests: readonly ControlRequest[] = [
      { type: 'saveConf' },
      { type: 'getConf', keys: ['A'] },
      { type: 'getAllMappings' },
      {
        type: 'mapAddress',
        mapping: {
          original: { kind: 'name', host: 'a' },
          replacement: { kind: 'name', host: 'b' },
        },
      },
    ];
    let machine = createControlClientMachine();
    let opened = 0;
    let events = 0;
    pourIn((frames) => {
      for (let at = 0; at < frames.length;) {
        const length = 4 + frames.readUInt16BE(at);
        machine.request(requests[opened % requests.length]!);
        let closed = false;
        for (const action of machine.receive(frames.subarray(at, at + length))) {
          if (action.type === 'event') events += 1;
          if (action.type === 'closed') closed = true;
        }
        at += length;
        // What waits without end is the caller's own doing.
        if (closed || opened % 64 === 63) machine = createControlClientMachine();
        opened += 1;
      }
    });
    assert.ok(events > 10_000, String(events));
  });
});
