/** What comes from a peer who wants to harm: bounded in memory, a turn at a time, and whole in the end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair, type Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import { limits } from '../../src/limits.ts';
import { tightly } from '../../src/bytes/tightly.ts';
import { DeliveryQueue } from '../../src/net/delivery-queue.ts';
import { openTransportStream } from '../../src/net/transport-stream.ts';
import type { Session } from '../../src/transports/contract.ts';
import { FramedPhase, type Opener } from '../../src/transports/framed-phase.ts';
import * as obfs4Frames from '../../src/transports/obfs4/frames.ts';
import * as scramblesuitFrames from '../../src/transports/scramblesuit/frames.ts';
import { setImmediate } from 'node:timers/promises';
import { measureSettledMemory } from '../support/memory.ts';
import { readAll } from '../support/sockets.ts';

/** A session that has no handshake. */
function sessionOf(opener: Opener): Session {
  const phase = new FramedPhase({
    sealBurst: (payload) => Buffer.from(payload),
    opener,
    pacing: undefined,
  });
  return Object.assign(phase, { start: () => [{ type: 'established' } as const] });
}

async function openStream(session: Session): Promise<{ stream: Duplex; far: Duplex }> {
  const [near, far] = duplexPair();
  return { stream: await openTransportStream(near, session), far };
}

const obfs4Keys = Buffer.alloc(obfs4Frames.DIRECTION_KEY_BYTES, 7);
const scramblesuitKeys = {
  key: Buffer.alloc(32, 7),
  counter: Buffer.alloc(16, 7),
  macKey: Buffer.alloc(32, 7),
};

/** Frames that are nearly all padding, for a few bytes of payload. */
const paddedBytes = {
  obfs4() {
    const sealer = new obfs4Frames.FrameSealer(obfs4Keys);
    return {
      opener: new obfs4Frames.FrameOpener(obfs4Keys, systemRng),
      seal: (piece: Uint8Array) => sealer.sealBurst(piece, [100]),
    };
  },
  scramblesuit() {
    const sealer = new scramblesuitFrames.FrameSealer(scramblesuitKeys);
    return {
      opener: new scramblesuitFrames.FrameOpener(scramblesuitKeys),
      seal: (piece: Uint8Array) => sealer.seal(scramblesuitFrames.FrameFlags.payload, piece, [100]),
    };
  },
};

/** Whether nothing is taken any more; what is taken is worked off in a few turns of the event loop. */
async function isStopped(far: Duplex, turns = 100): Promise<boolean> {
  for (let turn = 0; turn < turns && far.writableNeedDrain; turn += 1) await setImmediate();
  return far.writableNeedDrain;
}

for (const [name, setUp] of Object.entries(paddedBytes)) {
  test(`${name}: frames of padding do not fill the memory of a reader that has stopped`, async () => {
    const { opener, seal } = setUp();
    const { stream, far } = await openStream(sessionOf(opener));
    const piece = Buffer.alloc(8, 'x');
    let before = 0;
    let sent = 0;
    // Until the wire is stopped, a few bytes in each chunk.
    for (;;) {
      const chunk = Buffer.concat(Array.from({ length: 16 }, () => seal(piece)));
      sent += 16 * piece.length;
      // By now the compiler has what it needs.
      if (sent === 32_768) before = await measureSettledMemory();
      if (!far.write(chunk) && (await isStopped(far))) break;
      assert.ok(sent < 2 * limits.streamBufferBytes, 'the wire is never stopped');
    }
    const held = (await measureSettledMemory()) - before;
    assert.ok(held < 1_000_000, `${held} bytes are held`);
    assert.ok(sent >= limits.streamBufferBytes);
    far.end();
    assert.deepEqual(await readAll(stream), Buffer.alloc(sent, 'x'));
    stream.destroy();
  });
}

test('bytes that keep a large buffer alive are copied, and others are not', () => {
  const large = Buffer.allocUnsafeSlow(65_536);
  assert.equal(tightly(large.subarray(0, 40_000)).buffer, large.buffer);
  assert.equal(tightly(large.subarray(0, 100)).buffer.byteLength, 100);
  assert.equal(tightly(Buffer.from('from the pool')).buffer.byteLength, 13);
});

test('a queue of deliveries gives everything back in order, in few pieces that own what they need', () => {
  const queue = new DeliveryQueue();
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
  const lengths = [1, 100_000, 3, 4096, 65_536, 50_000, 7];
  let at = 0;
  for (const length of lengths) {
    queue.push(bytes.subarray(at, at + length));
    at += length;
  }
  for (; at < bytes.length; at += 1) queue.push(bytes.subarray(at, at + 1));
  assert.equal(queue.length, bytes.length);
  const parts: Uint8Array[] = [];
  for (let part = queue.shift(); part !== undefined; part = queue.shift()) parts.push(part);
  assert.equal(queue.length, 0);
  assert.deepEqual(Buffer.concat(parts), bytes);
  assert.ok(parts.length < 12, `${parts.length} pieces`);
  for (const part of parts) assert.ok(part.buffer.byteLength <= 2 * part.length);
});

/** A clock that only work moves on. */
function workClock(t: TestContext): { work(ms: number): void } {
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  return {
    work(ms) {
      nowMs += ms;
    },
  };
}

/** How much each turn of the event loop has worked on, as long as a stream has anything to do. */
async function watchTurns(
  session: (receive: (bytes: number) => void) => Session,
  chunks: readonly Buffer[],
): Promise<number[]> {
  let inTurn = 0;
  let total = 0;
  const { far } = await openStream(
    session((bytes) => {
      inTurn += bytes;
      total += bytes;
    }),
  );
  const goal = chunks.reduce((sum, { length }) => sum + length, 0);
  for (const chunk of chunks) far.write(chunk);
  const turns: number[] = [];
  while (total < goal) {
    await setImmediate();
    turns.push(inTurn);
    inTurn = 0;
  }
  return turns;
}

function costly(work: (bytes: number) => void): Session {
  return {
    start: () => [{ type: 'established' }],
    receive(chunk) {
      work(chunk.length);
      return [];
    },
    write: () => [],
    timerFired: () => [],
    receiveEnd: () => [],
    writeEnd: () => [],
    queuedBytes: 0,
  };
}

test('costly bytes are worked off a turn at a time, so that other connections have theirs', async (t) => {
  const clock = workClock(t);
  const MS_PER_BYTE = 0.25 / 1024;
  const chunks = Array.from({ length: 16 }, () => Buffer.alloc(65_536));
  const turns = await watchTurns(
    (receive) =>
      costly((bytes) => {
        receive(bytes);
        clock.work(bytes * MS_PER_BYTE);
      }),
    chunks,
  );
  const [first, ...others] = turns.map((bytes) => bytes * MS_PER_BYTE);
  assert.ok(first! <= 5, `${first} ms before the cost is known`);
  for (const ms of others) assert.ok(ms <= 3, `${ms} ms in one turn`);
});

test('cheap bytes are worked off at once', async (t) => {
  workClock(t);
  const chunk = Buffer.alloc(65_536);
  const turns = await watchTurns((receive) => costly(receive), [chunk, chunk, chunk]);
  assert.equal(Math.max(...turns), 3 * 65_536);
});

test('a reader that waits for a byte is given a byte, and not the buffer that it came in', async () => {
  const session = costly(() => {});
  session.receive = (chunk) => [
    { type: 'deliver', bytes: Buffer.alloc(65_536).fill(chunk).subarray(0, 1) },
  ];
  const { stream, far } = await openStream(session);
  const next = once(stream, 'data') as Promise<[Buffer]>;
  await setImmediate();
  far.write('x');
  const [byte] = await next;
  assert.equal(byte.toString(), 'x');
  assert.equal(byte.buffer.byteLength, 1);
});

test('costly bytes that nobody reads stop the wire as well', async (t) => {
  const clock = workClock(t);
  const session = costly(() => {});
  let delivered = 0;
  session.receive = (chunk) => {
    clock.work(chunk.length / 1024);
    delivered += chunk.length;
    return [{ type: 'deliver', bytes: Buffer.from(chunk) }];
  };
  const { far } = await openStream(session);
  for (let count = 0; count < 40; count += 1) far.write(Buffer.alloc(65_536));
  assert.ok(await isStopped(far, 2000));
  assert.ok(delivered < limits.streamBufferBytes + 65_536, `${delivered} bytes`);
});

test('an end that comes with costly bytes waits for its turn behind them', async (t) => {
  const clock = workClock(t);
  const session = costly(() => {});
  let received = 0;
  session.receive = (chunk) => {
    clock.work(10);
    received += chunk.length;
    return [];
  };
  const end = new Promise<number>((resolve) => {
    session.receiveEnd = () => {
      resolve(received);
      return [{ type: 'deliverEnd' }];
    };
  });
  const [near, far] = duplexPair();
  // All of it is there before anyone reads.
  far.end(Buffer.alloc(60_000));
  await setImmediate();
  await openTransportStream(near, session);
  assert.equal(await end, 60_000);
});
