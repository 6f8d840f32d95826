/** The one place that starts a server transport. */
import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { PosternError } from '../../src/errors.ts';
import { type LimitName, limits } from '../../src/limits.ts';
import {
  type RunningTransport,
  startTransportServer,
  type TransportServerOptions,
} from '../../src/net/transport-server.ts';
import { createDirectDialer } from '../../src/net/direct-dialer.ts';
import { throughTransport } from '../../src/net/through-transport.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { systemClock } from '../../src/time.ts';
import type { Session, Transport, TransportServer } from '../../src/transports/contract.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { makeTestCertificate } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { closedPort, dial, readAll, readBytes } from '../support/sockets.ts';
import { createRot } from '../support/test-transport.ts';

const KEY = 5;
const encoded = (text: string): Buffer => Buffer.from(Buffer.from(text).map((byte) => byte + KEY));

/** A `rot` whose server is made over as a test wants it. */
function rot(
  change: (server: TransportServer) => Partial<TransportServer> = () => ({}),
): Transport {
  const transport = createRot();
  return {
    ...transport,
    async server(...args) {
      const server = await transport.server(...args);
      return { ...server, ...change(server) };
    },
  };
}

/** One that runs until the test has ended, with what it told. */
async function start(t: TestContext, options: Partial<TransportServerOptions> = {}) {
  const streams: Duplex[] = [];
  const failures: unknown[] = [];
  const faults: unknown[] = [];
  const notices: string[] = [];
  const running = await startTransportServer({
    transport: rot(),
    endpoint: { host: '127.0.0.1', port: 0 },
    options: [['key', String(KEY)]],
    context: {
      rng: systemRng,
      clock: systemClock,
      state: new MemoryState(),
      notify: (notice) => notices.push(notice),
    },
    onConnection: (stream) => streams.push(stream),
    onFailedHandshake: (error) => failures.push(error),
    onFault: (error) => faults.push(error),
    ...options,
  });
  t.after(() => running.abort());
  return { running, streams, failures, faults, notices };
}

/** A client whose handshake is through. */
function connect({ endpoint }: RunningTransport): Promise<Duplex> {
  const createSession = createRot().client([['key', String(KEY)]], {
    rng: systemRng,
    clock: systemClock,
  });
  return throughTransport(dial, createSession)(endpoint);
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

test('it says where it listens and what clients need, and hands their streams out', async (t) => {
  const published: unknown[] = [];
  const { running, streams } = await start(t, { onListening: (what) => published.push(what) });
  assert.deepEqual(published, [
    { endpoint: running.endpoint, clientArguments: running.clientArguments },
  ]);
  assert.deepEqual(running.clientArguments, [['key', '5']]);
  const near = await connect(running);
  await until(() => streams.length === 1);
  near.end('hi');
  assert.equal((await readAll(streams[0]!)).toString(), 'hi');
  near.destroy();
});

test('a start that fails leaves no port open and saves its state, wherever it failed', async (t) => {
  const failure = new Error('no');
  const gone = await closedPort();
  let closed = 0;
  const transport = rot(() => ({
    close: async () => {
      closed += 1;
      throw new Error('nor can it be saved');
    },
  }));
  const fail = (): never => {
    throw failure;
  };
  await assert.rejects(start(t, { transport, endpoint: gone, onListening: fail }), failure);
  await assert.rejects(dial(gone), { code: 'ERR_DIAL_REFUSED' });
  assert.equal(closed, 1);

  const { running } = await start(t);
  await assert.rejects(start(t, { transport, endpoint: running.endpoint }), {
    code: 'ERR_LISTEN_IN_USE',
  });
  assert.equal(closed, 2);

  const controller = new AbortController();
  const starting = start(t, { transport, endpoint: gone, signal: controller.signal });
  controller.abort(failure);
  await assert.rejects(starting, failure);
  await assert.rejects(dial(gone), { code: 'ERR_DIAL_REFUSED' });
  assert.equal(closed, 3);
  await assert.rejects(start(t, { transport, signal: controller.signal }), failure);
  assert.equal(closed, 3, 'nothing was begun');
});

test('a start that fails looks after no certificate any more', async (t) => {
  const folder = temporaryDirectory(t);
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const { cert, key } = makeTestCertificate({ names: ['a.example'] });
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  const [begin, end] = [
    t.mock.method(globalThis, 'setInterval'),
    t.mock.method(globalThis, 'clearInterval'),
  ];
  const transport = rot(() => ({ tls: { certFile, keyFile } }));
  const onListening = (): never => {
    throw new Error('no');
  };
  await assert.rejects(start(t, { transport, onListening }), /no/);
  const [begun] = begin.mock.calls;
  while (end.mock.callCount() === 0) await new Promise(setImmediate);
  assert.equal(end.mock.calls[0]!.arguments[0], begun!.result);
});

test('a session that cannot be made costs its connection, which is treated like any stranger', async (t) => {
  let isBroken = true;
  const transport = rot((server) => ({
    createSession() {
      if (isBroken) throw new Error('a defect');
      return server.createSession();
    },
  }));
  const { running, failures } = await start(t, { transport });
  const stranger = await dial(running.endpoint);
  assert.equal((await readAll(stranger)).length, 0, 'closed by time, without a word');
  stranger.destroy();
  assert.match(String((failures[0] as Error).cause), /a defect/);
  isBroken = false;
  (await connect(running)).destroy();
});

/** Turns a limit until the test has ended. */
function setLimit(t: TestContext, name: LimitName, value: number): void {
  const table = limits as { -readonly [K in LimitName]: number };
  const before = limits[name];
  t.after(() => void (table[name] = before));
  table[name] = value;
}

for (const limit of ['pendingHandshakes', 'pendingHandshakesOfPrefix'] as const) {
  test(`past ${limit} the one that has sent least looks like one that failed, and the newcomer is served`, async (t) => {
    setLimit(t, limit, 2);
    let sessions = 0;
    const transport = rot((server) => ({
      createSession() {
        sessions += 1;
        return server.createSession();
      },
    }));
    const { running, streams, failures, notices } = await start(t, { transport });
    const busy = await dial(running.endpoint);
    busy.write(encoded('ROT'));
    const silent = await dial(running.endpoint);
    await until(() => sessions === 2);
    (await connect(running)).destroy();
    assert.equal((await readAll(silent)).length, 0, 'a FIN by time');
    silent.destroy();
    assert.equal((failures[0] as PosternError).code, 'ERR_HANDSHAKE_TIMED_OUT');
    assert.match(notices.at(-1)!, /too many connections wait/);
    busy.write(encoded('1'));
    assert.deepEqual(await readBytes(busy, 2), encoded('OK'));
    await until(() => streams.length === 2);
    assert.equal(failures.length, 1);
    // The places of all three are free again.
    const more = [await dial(running.endpoint), await dial(running.endpoint)];
    await until(() => sessions === 5);
    assert.equal(failures.length, 1);
    for (const stream of [busy, ...more]) stream.destroy();
  });
}

test('a network over its share takes no place from another one', async (t) => {
  setLimit(t, 'pendingHandshakesOfPrefix', 1);
  let sessions = 0;
  const transport = rot((server) => ({
    createSession() {
      sessions += 1;
      return server.createSession();
    },
  }));
  const { running, failures, streams } = await start(t, { transport });
  const connectFrom = async (bindV4: string): Promise<Duplex> => {
    const count = sessions + 1;
    const wire = await createDirectDialer({ bindV4 })(running.endpoint);
    t.after(() => void wire.destroy());
    await until(() => sessions === count);
    return wire;
  };
  const elsewhere = await connectFrom('127.9.9.1');
  const neighbour = await connectFrom('127.0.0.2');
  await connectFrom('127.0.0.3');
  assert.equal((await readAll(neighbour)).length, 0);
  assert.equal(failures.length, 1);
  elsewhere.write(encoded('ROT1'));
  assert.deepEqual(await readBytes(elsewhere, 2), encoded('OK'));
  await until(() => streams.length === 1);
});

/** One that is established by the first chunk, and fails in the same breath: by itself, or by the next slice. */
function stillborn(error: PosternError, isBySlice: boolean): Session {
  let isEstablished = false;
  return {
    start: () => [],
    receive() {
      const wasEstablished = isEstablished;
      isEstablished = true;
      if (isBySlice)
        return [wasEstablished ? { type: 'rejected', error } : { type: 'established' }];
      return [{ type: 'established' }, { type: 'rejected', error }];
    },
    write: () => [],
    timerFired: () => [],
    receiveEnd: () => [],
    writeEnd: () => [],
    queuedBytes: 0,
  };
}

test('a stream that is closed already is never handed out, and nothing waits for its end', async (t) => {
  const error = new PosternError('ERR_HANDSHAKE_REJECTED', 'too much at once');
  for (const isBySlice of [false, true]) {
    const transport = rot(() => ({ createSession: () => stillborn(error, isBySlice) }));
    const onConnection = (stream: Duplex): void => {
      // Slices that come a turn apart leave a stream that is open in between.
      assert.ok(isBySlice && !stream.destroyed);
      handedOut += 1;
    };
    let handedOut = 0;
    const { running, failures, faults } = await start(t, { transport, onConnection });
    const near = await dial(running.endpoint);
    // As much as is read at once, as a rule, and more than one slice.
    near.write(Buffer.alloc(65_536));
    await until(() => failures.length + handedOut + faults.length > 0);
    assert.deepEqual(faults, []);
    await running.close();
    near.destroy();
  }
});

test('close waits for the streams that are out, and turns away who proves itself after it', async (t) => {
  const { running, streams, failures } = await start(t);
  const near = await connect(running);
  const slow = await dial(running.endpoint);
  slow.write(encoded('ROT'));
  await until(() => streams.length === 1);
  let isClosed = false;
  void running.closed.then(() => (isClosed = true));
  const closing = running.close();
  slow.write(encoded('1'));
  assert.deepEqual(await readBytes(slow, 2), encoded('OK'));
  await finished(slow.resume(), { writable: false });
  assert.equal(streams.length, 1, 'it came while closing');
  await assert.rejects(dial(running.endpoint), { code: 'ERR_DIAL_REFUSED' });
  assert.ok(!isClosed);
  near.write('still here');
  assert.equal((await readBytes(streams[0]!, 10)).toString(), 'still here');
  near.destroy();
  streams[0]!.resume().end();
  await Promise.all([closing, running.closed, running.close(), running[Symbol.asyncDispose]()]);
  assert.deepEqual(failures, []);
  slow.destroy();
});

test('close ends peers that have not proven themselves, once the last stream has ended', async (t) => {
  const { running } = await start(t);
  const silent = await dial(running.endpoint);
  const left = once(silent.resume(), 'end');
  await running.close();
  await left;
  silent.destroy();
});

test('abort ends what stands, also a stream whose wire has ended and that nobody reads', async (t) => {
  const { running, streams } = await start(t);
  const near = await connect(running);
  await until(() => streams.length === 1);
  const [stream] = streams as [Duplex];
  // Both directions of the wire are over, and what came has not been read.
  near.end('unread');
  stream.end();
  await finished(near.resume());
  await until(() => stream.readableLength > 0);
  running.abort();
  await running.closed;
  assert.ok(stream.destroyed);
  running.abort();
  await running.close();
});

test('the signal is abort, and is let go of in the end', async (t) => {
  const controller = new AbortController();
  const { running, streams } = await start(t, { signal: controller.signal });
  await connect(running);
  await until(() => streams.length === 1);
  controller.abort();
  await running.closed;
  assert.ok(streams[0]!.destroyed);

  const { signal } = new AbortController();
  const other = await start(t, { signal });
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  await other.running.close();
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('what a handler of connections or failures throws costs one connection, and is told', async (t) => {
  let handler: TransportServerOptions['onConnection'] = () => {
    throw new Error('thrown');
  };
  const { running, faults } = await start(t, {
    onConnection: (...args) => handler(...args),
    onFailedHandshake: () => {
      throw new Error('cannot hear it');
    },
  });
  const first = await connect(running);
  await finished(first.resume(), { writable: false }).catch(() => {});
  handler = () => Promise.reject(new Error('rejected'));
  const second = await connect(running);
  await finished(second.resume(), { writable: false }).catch(() => {});
  const stranger = await dial(running.endpoint);
  stranger.end('not the key');
  await finished(stranger.resume(), { writable: false });
  assert.deepEqual(
    faults.map((error) => (error as Error).message),
    ['thrown', 'rejected', 'cannot hear it'],
  );
  for (const stream of [first, second, stranger]) stream.destroy();
  await running.close();
});

test('state that cannot be saved is a notice, and close resolves', async (t) => {
  const transport = rot(() => ({
    close: () => Promise.reject(new PosternError('ERR_TRANSPORT_STATE', 'the disk is full')),
  }));
  const { running, notices } = await start(t, { transport });
  await running.close();
  assert.match(notices.at(-1)!, /the disk is full \(ERR_TRANSPORT_STATE\)/);
});
