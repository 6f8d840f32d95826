/** Plain TCP: how we listen, and how we dial. */
import assert from 'node:assert/strict';
import dns from 'node:dns/promises';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { connect, type Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { PosternError } from '../../src/errors.ts';
import { createDirectDialer } from '../../src/net/direct-dialer.ts';
import { listenTcp } from '../../src/net/listener.ts';
import { dial, echo, listen, readAll, socketPair } from '../support/sockets.ts';

const loopback = { host: '127.0.0.1', port: 0 };

/**
 * In how many pieces five bytes arrive that were written one by one, after the connection has become one
 * on which acknowledgements are delayed. With Nagle's algorithm it is two: the first byte, and the rest
 * when that was acknowledged.
 */
async function piecesOf(from: Socket, to: Socket): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    from.write('x');
    await once(to, 'data');
    to.write('y');
    await once(from, 'data');
  }
  let pieces = 0;
  let count = 0;
  to.on('data', (chunk: Buffer) => {
    pieces += 1;
    count += chunk.length;
  });
  for (let byte = 0; byte < 5; byte += 1) {
    from.write('z');
    await new Promise(setImmediate);
  }
  while (count < 5) await once(to, 'data');
  return pieces;
}

test('no side waits with small writes, as Go’s does not', async (t) => {
  for (const reverse of [false, true]) {
    const [dialled, accepted] = await socketPair(t);
    const pieces = await (reverse ? piecesOf(accepted, dialled) : piecesOf(dialled, accepted));
    assert.ok(pieces > 2, `${reverse ? 'listener' : 'dialer'}: ${pieces} pieces`);
  }
});

/** Lets names resolve to addresses of the test's choice. */
function mockLookup(t: TestContext, lookup: () => Promise<unknown>): void {
  const mocked = t.mock.method(dns, 'lookup', lookup as typeof dns.lookup);
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}

test('when the first address of a name does not answer, the next one is tried', async (t) => {
  const { endpoint } = await listen(t, echo, '127.0.0.2');
  const addresses = ['127.0.0.3', '127.0.0.2'];
  mockLookup(t, async () => addresses.map((address) => ({ address, family: 4 })));
  const stream = await dial({ host: 'two.example', port: endpoint.port });
  stream.end('hi');
  assert.equal((await readAll(stream)).toString(), 'hi');
  // When none of them does, the first failure is told.
  addresses.pop();
  await assert.rejects(dial({ host: 'two.example', port: endpoint.port }), {
    code: 'ERR_DIAL_REFUSED',
  });
});

test('an abort in the middle of a name lookup ends the dial at once, with its reason', async (t) => {
  mockLookup(t, () => new Promise(() => {}));
  const controller = new AbortController();
  const dialling = dial({ host: 'slow.example', port: 1 }, { signal: controller.signal });
  controller.abort('changed my mind');
  assert.equal(await dialling.catch((reason: unknown) => reason), 'changed my mind');
});

test('a bind address that is not ours, and local ports that are used up, are told apart', async (t) => {
  const { endpoint } = await listen(t, echo);
  await assert.rejects(createDirectDialer({ bindV4: '192.0.2.77' })(endpoint), {
    code: 'ERR_DIAL_BIND_FAILED',
    retry: 'never',
  });
  t.mock.method(
    await import('node:net').then(({ Socket }) => Socket.prototype),
    'connect',
    function (this: Socket) {
      const error = Object.assign(new Error('no port'), {
        code: 'EADDRNOTAVAIL',
        syscall: 'connect',
      });
      process.nextTick(() => this.destroy(error));
      return this;
    },
  );
  await assert.rejects(dial(endpoint), { code: 'ERR_DIAL_NO_LOCAL_PORT', retry: 'later' });
});

test('an error of a connection that nobody listens to ends nothing', async (t) => {
  const [dialled, accepted] = await socketPair(t);
  accepted.resetAndDestroy();
  await new Promise((resolve) => void dialled.resume().once('close', resolve));
  assert.equal((dialled.errored as NodeJS.ErrnoException).code, 'ECONNRESET');
});

test('what a connection’s handler throws, or rejects with, costs that connection', async (t) => {
  const faults: unknown[] = [];
  let handler: (socket: Socket) => unknown = () => {
    throw new Error('thrown');
  };
  const listener = await listenTcp(
    loopback,
    (socket) => handler(socket),
    (error) => faults.push((error as Error).message),
  );
  t.after(() => listener.abort());
  await finished((await dial(listener.endpoint)).resume(), { writable: false });
  handler = async () => {
    await new Promise(setImmediate);
    throw new Error('rejected');
  };
  await finished((await dial(listener.endpoint)).resume(), { writable: false });
  handler = echo;
  const stream = await dial(listener.endpoint);
  stream.end('still here');
  assert.equal((await readAll(stream)).toString(), 'still here');
  assert.deepEqual(faults, ['thrown', 'rejected']);
});

test('a fault that nobody hears of is a warning, which names what to do', async (t) => {
  const warned = once(process, 'warning') as Promise<[Error]>;
  const listener = await listenTcp(loopback, () => {
    throw new PosternError('ERR_DIAL_REFUSED', 'on purpose');
  });
  t.after(() => listener.abort());
  connect(listener.endpoint.port).on('error', () => {});
  const [warning] = await warned;
  assert.equal(warning.name, 'PosternFault');
  assert.match(warning.message, /on purpose \(ERR_DIAL_REFUSED\)\. Check the address/);
});

test('a listener’s life: close leaves connections, abort ends them, closed tells, all may be repeated', async () => {
  const accepted: Socket[] = [];
  const listener = await listenTcp(loopback, (socket) => accepted.push(socket));
  let isClosed = false;
  void listener.closed.then(() => (isClosed = true));
  const stream = await dial(listener.endpoint);
  while (accepted.length === 0) await new Promise(setImmediate);
  await listener.close();
  await listener[Symbol.asyncDispose]();
  await assert.rejects(dial(listener.endpoint), { code: 'ERR_DIAL_REFUSED' });
  stream.write('x');
  assert.equal(String((await once(accepted[0]!, 'data'))[0]), 'x');
  assert.ok(!isClosed);
  listener.abort();
  await listener.closed;
  await finished(stream.resume(), { writable: false });
  listener.abort();
  await listener.close();
  stream.destroy();
});

test('a listener that fails says why', async (t) => {
  const { endpoint } = await listen(t, () => {});
  await assert.rejects(
    listenTcp(endpoint, () => {}),
    { code: 'ERR_LISTEN_IN_USE' },
  );
  await assert.rejects(
    listenTcp({ host: '192.0.2.1', port: 0 }, () => {}),
    { code: 'ERR_LISTEN_FAILED' },
  );
});
