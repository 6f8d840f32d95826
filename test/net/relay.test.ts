/** Two streams joined, to the end of both. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex, duplexPair, PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { type LimitName, limits } from '../../src/limits.ts';
import { confirmEnd } from '../../src/net/clean-end.ts';
import { breakOff, rememberWire } from '../../src/net/break-off.ts';
import { relay } from '../../src/net/relay.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { readAll, readBytes, socketPair } from '../support/sockets.ts';

/** How a stream ends for whoever reads it. */
function endOf(stream: Socket): Promise<string> {
  return new Promise((resolve) => {
    stream.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code!));
    stream.resume().on('end', () => confirmEnd(stream, () => resolve('end')));
  });
}

test('both directions are carried, the end of one while the other goes on', async (t) => {
  const [a, farA] = await socketPair(t);
  const [b, farB] = await socketPair(t);
  const over = relay(a, b);
  farA.end('ping');
  assert.equal((await readAll(farB)).toString(), 'ping');
  farB.end('pong');
  assert.equal((await readAll(farA)).toString(), 'pong');
  assert.equal(await over, undefined);
});

test('a side that breaks resets the other, also where a far end does not read', async (t) => {
  const breaks: Record<string, (near: Socket, far: Socket) => void> = {
    'our end fails': (near) => near.destroy(new Error('broken')),
    'our end is closed': (near) => near.destroy(),
    'a reset comes': (_near, far) => far.resetAndDestroy(),
  };
  for (const [what, breakIt] of Object.entries(breaks)) {
    const [a, farA] = await socketPair(t);
    const [b, farB] = await socketPair(t);
    const over = relay(a, b);
    farA.write('half of a downl');
    assert.equal((await readBytes(farB, 15)).toString(), 'half of a downl', what);
    breakIt(a, farA);
    assert.equal(await endOf(farB), 'ECONNRESET', what);
    assert.ok((await over) instanceof Error);
  }
  // libuv takes a reset that comes with the last bytes for an end.
  const [from, farFrom] = await socketPair(t);
  const [to, farTo] = await socketPair(t);
  farFrom.write('half of a downl');
  while (farFrom.bytesWritten < 15 || farFrom.writableLength > 0) await new Promise(setImmediate);
  farFrom.resetAndDestroy();
  await once(farFrom, 'close');
  const over = relay(from, to);
  assert.equal((await readBytes(farTo, 15)).toString(), 'half of a downl');
  assert.equal(await endOf(farTo), 'ECONNRESET');
  assert.equal(((await over) as NodeJS.ErrnoException).code, 'ECONNRESET');

  // Bytes that wait for a far end which reads nothing keep the break from nobody.
  const [a, farA] = await socketPair(t);
  const [b, farB] = await socketPair(t);
  farB.pause();
  const stuck = relay(a, b);
  for (let sent = 0; !b.writableNeedDrain; sent += 1) {
    assert.ok(sent < 1000);
    farA.write(Buffer.alloc(1 << 20));
    await new Promise(setImmediate);
  }
  a.destroy();
  assert.ok((await stuck) instanceof Error);
});

test('an end that was a reset resets the other side, also when our own end went out meanwhile', async (t) => {
  const [wire, peer] = await socketPair(t);
  const [application, far] = await socketPair(t);
  // As TLS is: it has its own ends, and closes with what lies below it.
  const above = new Duplex({ read() {}, final: (callback) => callback() });
  rememberWire(above, wire);
  wire.on('error', () => {}).on('close', () => above.destroy());
  const over = relay(application, above);
  above.on('end', () => above.end());
  peer.resetAndDestroy();
  await once(peer, 'close');
  above.push(null);
  assert.equal(await endOf(far), 'ECONNRESET');
  assert.ok((await over) instanceof Error);
});

test('what is no TCP socket breaks with the error itself', async (t) => {
  const failure = new Error('broken');
  const [a] = await socketPair(t);
  const [b] = duplexPair();
  const over = relay(a, b);
  a.destroy(failure);
  assert.equal(await over, failure);
  assert.equal(b.errored, failure);
});

test('a Unix-domain socket, which knows no reset, breaks as well', async (t) => {
  const [near, far] = await unixPair(t);
  const [a] = await socketPair(t);
  const over = relay(a, near);
  const closed = once(far.resume(), 'close');
  far.on('end', () => far.end());
  a.destroy();
  assert.ok((await over) instanceof Error);
  await closed;
});

async function unixPair(t: TestContext): Promise<[Socket, Socket]> {
  const path = join(temporaryDirectory(t), 'socket');
  const server = createServer({ allowHalfOpen: true }).listen(path);
  t.after(() => void server.close());
  await once(server, 'listening');
  const near = connect(path);
  const [far] = (await once(server, 'connection')) as [Socket];
  return [near, far];
}

test('an end that was there before still counts, and so does a break', async (t) => {
  const ended = (): PassThrough => {
    const stream = new PassThrough();
    stream.resume().end();
    return stream;
  };
  await relay(ended(), ended());
  const [broken] = duplexPair();
  broken.destroy();
  await once(broken, 'close');
  const [b, farB] = await socketPair(t);
  assert.equal(((await relay(broken, b)) as { code?: string }).code, 'ERR_STREAM_TRUNCATED');
  assert.equal(await endOf(farB), 'ECONNRESET');
});

test('small pieces that come together leave in one write', async (t) => {
  const [a, farA] = duplexPair();
  const [b, farB] = await socketPair(t);
  const over = relay(a, b);
  const writes = t.mock.method(b, '_writev' as '_write');
  for (let piece = 0; piece < 10; piece += 1) farA.write('piece ');
  assert.equal((await readBytes(farB, 60)).toString(), 'piece '.repeat(10));
  assert.equal(writes.mock.callCount(), 1);
  farA.end('the last');
  assert.equal((await readAll(farB)).toString(), 'the last');
  farB.end();
  farA.resume();
  assert.equal(await over, undefined);
});

test('a far end that does not read stops its sender', async (t) => {
  const [a, farA] = await socketPair(t);
  const [b, farB] = await socketPair(t);
  farB.pause();
  void relay(a, b);
  while (!a.isPaused()) {
    farA.write(Buffer.alloc(1 << 16));
    await new Promise(setImmediate);
  }
  assert.ok(b.writableLength < 1 << 20);
  farA.end();
  farB.resume();
  assert.ok((await readAll(farB)).length >= 1 << 16, 'and goes on when it reads');
});

test('a socket whose end is under way can be broken off, and closes', async (t) => {
  const [near, far] = await socketPair(t);
  far.on('error', () => {}).resume();
  const closed = new Promise<void>((resolve) => {
    near.on('error', () => {}).once('close', () => resolve());
  });
  near.end();
  breakOff(near, new Error('the other side broke'));
  await closed;
});

test('half closed, it goes on as long as something moves, and then ends without overtaking what was sent', async (t) => {
  const table = limits as { -readonly [K in LimitName]: number };
  const { halfClosedMs } = limits;
  t.after(() => void (table.halfClosedMs = halfClosedMs));
  table.halfClosedMs = 200;
  const [a, farA] = await socketPair(t);
  const [b, farB] = await socketPair(t);
  const over = relay(a, b);
  farA.end('that is all');
  assert.equal((await readAll(farB)).toString(), 'that is all');
  const startMs = performance.now();
  while (performance.now() - startMs < 5 * limits.halfClosedMs) {
    farB.write('.');
    await once(farA.resume(), 'data');
    await new Promise((resolve) => setTimeout(resolve, limits.halfClosedMs / 20));
  }
  assert.ok(!a.destroyed && !b.destroyed);
  assert.equal(await endOf(farA), 'ECONNRESET');
  assert.match((await over)!.message, /moved nothing/);
  assert.ok(a.destroyed && b.destroyed);
});
