import assert from 'node:assert/strict';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { mock, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PosternError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { FineTimer } from '../../src/net/fine-timer.ts';
import { readLent } from '../../src/net/reading.ts';
import { openTransportStream, type TransportStream } from '../../src/net/transport-stream.ts';
import { throughTransport } from '../../src/net/through-transport.ts';
import type { Action, Session } from '../../src/transports/contract.ts';
import { readAll, socketPair } from '../support/sockets.ts';

/** A session that passes bytes through once `HELLO` has come; each test overrides what it needs. */
function session(overrides: Partial<Session> = {}): Session {
  let established = false;
  const plain: Session = {
    start: () => [],
    receive(chunk) {
      const bytes = Buffer.from(chunk);
      if (established) return [{ type: 'deliver', bytes }];
      established = true;
      const rest = bytes.subarray(5);
      const early: Action[] = rest.length > 0 ? [{ type: 'deliver', bytes: rest }] : [];
      return [{ type: 'established' }, ...early];
    },
    write: (chunk) => [{ type: 'send', bytes: Buffer.from(chunk) }],
    timerFired: () => [],
    receiveEnd: () => [{ type: 'deliverEnd' }],
    writeEnd: () => [{ type: 'sendEnd' }],
    queuedBytes: 0,
  };
  // Not by spreading: `queuedBytes` may be a getter.
  return Object.defineProperties(plain, Object.getOwnPropertyDescriptors(overrides));
}

test('bytes behind the last byte of the handshake reach the application', async (t) => {
  const [near, far] = await socketPair(t);
  far.end('HELLOearly');
  const stream = await openTransportStream(near, session());
  assert.equal((await readAll(stream)).toString(), 'early');
});

test('[PT-3-11] each direction ends by itself', async (t) => {
  const [near, far] = await socketPair(t);
  far.write('HELLO');
  const stream = await openTransportStream(near, session());
  stream.end('request');
  assert.equal((await readAll(far)).toString(), 'request');
  far.end('answer after the end of the request');
  assert.equal((await readAll(stream)).toString(), 'answer after the end of the request');
  await finished(stream);
});

test('a wire that breaks during the handshake rejects with ERR_HANDSHAKE_CLOSED', async (t) => {
  const [near, far] = await socketPair(t);
  const opening = openTransportStream(near, session());
  far.destroy();
  near.destroy();
  await assert.rejects(opening, { code: 'ERR_HANDSHAKE_CLOSED' });
});

test('an abort gives the handshake up and closes the wire', async (t) => {
  const [near] = await socketPair(t);
  const controller = new AbortController();
  const opening = openTransportStream(near, session(), { signal: controller.signal });
  const reason = new Error('changed my mind');
  controller.abort(reason);
  await assert.rejects(opening, reason);
  assert.ok(near.destroyed);
});

test('a session that fails closes the wire and gives its error', async (t) => {
  const error = new PosternError('ERR_HANDSHAKE_REJECTED', 'no');
  const [near, far] = await socketPair(t);
  far.write('anything');
  const failing = session({ receive: () => [{ type: 'failed', error }] });
  await assert.rejects(openTransportStream(near, failing), error);
  await finished(far.resume(), { writable: false }).catch(() => {});
});

test('a rejected wire hears nothing, is read on, and is closed by time with a FIN', async (t) => {
  const error = new PosternError('ERR_HANDSHAKE_REJECTED', 'no');
  const [near, far] = await socketPair(t);
  far.write('probe');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const rejecting = session({ receive: () => [{ type: 'rejected', error }] });
  await assert.rejects(openTransportStream(near, rejecting, { rejectAfterMs: 45_000 }), error);
  // It goes on reading: far more than any socket buffer holds.
  for (let sent = 0; sent < 16; sent += 1) {
    if (!far.write(Buffer.alloc(1 << 20))) await once(far, 'drain');
  }
  while (near.bytesRead < 16 << 20) await new Promise(setImmediate);
  assert.equal(near.destroyed, false);
  t.mock.timers.tick(44_000);
  assert.equal(near.destroyed, false);
  const received = readAll(far);
  t.mock.timers.tick(1000);
  const bytes = await received;
  assert.equal(bytes.length, 0, 'a FIN, not a reset, and no byte before it');
});

test('a rejected peer that closes is let go at once', async (t) => {
  const error = new PosternError('ERR_HANDSHAKE_REJECTED', 'no');
  const [near, far] = await socketPair(t);
  far.write('probe');
  const rejecting = session({ receive: () => [{ type: 'rejected', error }] });
  await assert.rejects(openTransportStream(near, rejecting, { rejectAfterMs: 45_000 }), error);
  far.end();
  await finished(near.resume()).catch(() => {});
});

test('a peer that reads nothing stops the application from writing', async (t) => {
  const [near, far] = await socketPair(t);
  far.pause();
  far.write('HELLO');
  const stream = await openTransportStream(near, session());
  let written = 0;
  while (stream.write(Buffer.alloc(65_536))) {
    written += 65_536;
    await new Promise(setImmediate);
    assert.ok(written < 64 << 20, 'back-pressure never came');
  }
  assert.ok(near.writableLength + stream.writableLength < 2 * limits.streamBufferBytes + 131_072);
});

test('an application that reads nothing stops the wire', async (t) => {
  const [near, far] = await socketPair(t);
  far.write('HELLO');
  const stream = await openTransportStream(near, session());
  while (far.write(Buffer.alloc(65_536))) await new Promise(setImmediate);
  assert.ok(near.bytesRead - near.readableLength <= limits.streamBufferBytes + 65_536);
  far.end();
  assert.ok((await readAll(stream)).length >= 65_536, 'and goes on when the application reads');
});

test('many peers whose bytes are much work leave each turn of the event loop short', async (t) => {
  let nowMs = performance.now();
  let turnStartMs = nowMs;
  let longestMs = 0;
  const pairs = await Promise.all(Array.from({ length: 20 }, () => socketPair(t)));
  const streams = await Promise.all(
    pairs.map(([near, far]) => {
      far.write('HELLO');
      return openTransportStream(
        near,
        session({
          receive(chunk) {
            if (chunk.length === 5) return [{ type: 'established' }];
            nowMs += chunk.length / 8192;
            longestMs = Math.max(longestMs, nowMs - turnStartMs);
            return [{ type: 'deliver', bytes: Buffer.from(chunk) }];
          },
        }),
      );
    }),
  );
  t.mock.method(performance, 'now', () => nowMs);
  const payload = Buffer.alloc(200_000, 'payload');
  let isOver = false;
  const read = Promise.all(streams.map(readAll)).finally(() => (isOver = true));
  for (const [, far] of pairs) far.end(payload);
  while (!isOver) {
    turnStartMs = nowMs;
    await nextTurn();
  }
  for (const bytes of await read) assert.ok(bytes.equals(payload));
  assert.ok(longestMs <= 16, `${longestMs} ms in one turn`);
});

test('a session that queues holds the application until the queue is empty', async (t) => {
  const [near, far] = await socketPair(t);
  let queued = 0;
  const queueing = session({
    write(chunk) {
      queued = chunk.length;
      return [{ type: 'setTimer', delayMs: 0.1 }];
    },
    timerFired() {
      queued = 0;
      return [{ type: 'send', bytes: Buffer.from('.') }];
    },
    get queuedBytes() {
      return queued;
    },
  });
  far.write('HELLO');
  const stream = await openTransportStream(near, queueing);
  for (let count = 0; count < 20; count += 1) stream.write('x');
  stream.end();
  assert.equal((await readAll(far)).toString(), '.'.repeat(20));
});

test('a session that fails in the chunk that establishes it ends nothing but its connection', async (t) => {
  const error = new PosternError('ERR_FRAME_MALFORMED', 'no');
  const [near, far] = await socketPair(t);
  far.write('HELLOgarbage');
  const failing = session({
    receive: () => [{ type: 'established' }, { type: 'failed', error }],
  });
  // A stream that is closed already is of no use to anyone.
  await assert.rejects(openTransportStream(near, failing), error);
  assert.ok(near.destroyed);
});

test('a session that throws costs its own connection and nothing else', async (t) => {
  const [near, far] = await socketPair(t);
  far.write('HELLO');
  const broken = session({
    write() {
      throw new Error('a defect');
    },
  });
  const stream = await openTransportStream(near, broken);
  const failed = once(stream, 'error') as Promise<[Error]>;
  stream.write('x');
  const [error] = await failed;
  assert.equal(error.name, 'PosternBug');
  assert.match(String(error.cause), /a defect/);
  assert.ok(near.destroyed);
});

test('a session that hands on what it was lent harms no other connection', async (t) => {
  const [near, far] = await socketPair(t);
  far.write('HELLO');
  let isEstablished = false;
  const faulty = session({
    receive(chunk) {
      if (isEstablished) return [{ type: 'deliver', bytes: chunk }];
      isEstablished = true;
      return [{ type: 'established' }];
    },
  });
  const stream = (await openTransportStream(near, faulty)) as TransportStream;
  let longest = 0;
  const sink = (bytes: Uint8Array): boolean => {
    longest = Math.max(longest, bytes.length);
    return true;
  };
  stream.readInto(sink).resume();
  far.end(Buffer.alloc(16_000_000));
  await once(stream, 'end');
  assert.ok(longest > 65_536, `${longest} bytes are too few to be given back`);
  // What all sockets are read into is still there.
  const [other, peer] = await socketPair(t);
  peer.end('still read');
  let text = '';
  readLent(other, (bytes) => (text += bytes.toString())).resume();
  await once(other, 'end');
  assert.equal(text, 'still read');
});

test('the session is made before the connection is', async () => {
  const order: string[] = [];
  const dial = throughTransport(
    async () => {
      order.push('dial');
      throw new Error('enough');
    },
    () => {
      order.push('session');
      return session();
    },
  );
  await assert.rejects(dial({ host: '192.0.2.1', port: 1 }), /enough/);
  assert.deepEqual(order, ['session', 'dial']);
});

test('a fine timer waits for fractions of a millisecond, and the last setting wins', async () => {
  const timer = new FineTimer();
  const never = mock.fn();
  timer.set(0.3, never);
  timer.set(50, never);
  for (const delayMs of [0, 0.1, 0.9, 1.5, 3.7]) {
    const startMs = performance.now();
    await new Promise<void>((resolve) => timer.set(delayMs, resolve));
    assert.ok(performance.now() - startMs >= delayMs);
  }
  timer.set(1, never);
  timer.clear();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(never.mock.callCount(), 0);
});
