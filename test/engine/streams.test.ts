/** Streams, circuits and links, client engine and bridge engine in one process. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import type { EngineEvent } from '../../src/control/engine.ts';
import { formatEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { SocksReply } from '../../src/socks/messages.ts';
import { HandTimers } from '../support/hand-timers.ts';
import {
  connectThrough,
  socksFailure,
  startBridge,
  startClient,
  startEngine,
  startPlainBridge,
  type TestEngine,
} from '../support/engine.ts';
import { closedPort, dial, echo, listen, readAll, readBytes } from '../support/sockets.ts';

function socksOf({ engine }: TestEngine): Endpoint {
  return engine.endpoints.socks[0]!;
}

/** The status of every event of a type, in order. */
function statuses({ events }: TestEngine, type: EngineEvent['type'], id?: number): string[] {
  return events.flatMap((event) =>
    event.type === type &&
    'status' in event &&
    (id === undefined || !('id' in event) || event.id === id)
      ? [event.status]
      : [],
  );
}

const isStream =
  (id: number, status: string) =>
  (event: EngineEvent): boolean =>
    event.type === 'stream' && event.id === id && event.status === status;

const isCircuit =
  (id: number, status: string) =>
  (event: EngineEvent): boolean =>
    event.type === 'circuit' && event.id === id && event.status === status;

async function echoes(client: TestEngine, target: Endpoint, text: string): Promise<void> {
  const stream = await connectThrough(client, target);
  stream.end(text);
  assert.equal((await readAll(stream)).toString(), text);
}

describe('a stream', () => {
  test('[TC-3.7-04] [TC-3.7-06] [TC-3.7-08] [TC-3.7-11] goes through a circuit over a link, each change told', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startEngine(t, 'SocksPort auto\n');
    // Configured while we listen, so that no event is missed.
    const line = bridge.torrc;
    assert.ok(line.text.includes('ServerTransportPlugin'));
    const { transport, endpoint, args } = bridge.engine.bridgeLines[0]!;
    const words = args.map(([key, value]) => `${key}=${value}`).join(' ');
    await client.engine.setConf(
      `ClientTransportPlugin obfs4 builtin\nUseBridges 1\nBridge ${transport} ${formatEndpoint(endpoint)} ${'A'.repeat(40)} ${words}\n`,
    );
    await echoes(client, target.endpoint, 'hello');
    await client.until(isStream(1, 'closed'));
    const name = 'A'.repeat(40);
    assert.deepEqual(
      client.events.filter(({ type }) => type !== 'log' && type !== 'bandwidth'),
      [
        { type: 'circuit', status: 'launched', id: 1, path: [] },
        { type: 'orConnection', status: 'launched', name },
        { type: 'orConnection', status: 'connected', name },
        { type: 'circuit', status: 'extended', id: 1, path: [name] },
        { type: 'circuit', status: 'built', id: 1, path: [name] },
        ...['sentConnect', 'succeeded', 'closed'].map((status) => ({
          type: 'stream',
          status,
          id: 1,
          target: target.text,
        })),
      ],
    );
    await bridge.engine.close();
    await client.until(isCircuit(1, 'closed'));
    assert.deepEqual(statuses(client, 'orConnection'), ['launched', 'connected', 'closed']);
    assert.deepEqual(client.events.find(isCircuit(1, 'closed')), {
      type: 'circuit',
      status: 'closed',
      id: 1,
      path: [name],
    });
  });

  test('carries each direction to its own end, whole', async (t) => {
    const received: Promise<Buffer>[] = [];
    const target = await listen(t, (socket) => {
      received.push(readAll(socket));
      socket.end(Buffer.alloc(5_000_000, 'down'));
    });
    const bridge = await startBridge(t);
    const client = await startClient(t, [bridge]);
    const stream = await connectThrough(client, target.endpoint);
    // The target's end has come before anything goes the other way.
    const down = await readAll(stream);
    assert.ok(down.equals(Buffer.alloc(5_000_000, 'down')));
    stream.end(Buffer.alloc(5_000_000, 'up'));
    assert.ok((await received[0]!).equals(Buffer.alloc(5_000_000, 'up')));
    await client.until(isStream(1, 'closed'));
  });

  test('goes where the address map says', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startClient(t, [bridge], 'MapAddress www.example 127.0.0.1\n');
    await echoes(client, { host: 'WWW.example', port: target.endpoint.port }, 'configured');
    await client.engine.mapAddress(
      { kind: 'ipv4', host: '192.0.2.1' },
      { kind: 'name', host: 'localhost' },
    );
    await echoes(client, { host: '192.0.2.1', port: target.endpoint.port }, 'requested');
  });

  test('that fails tells the application why, and ends with failed alone', async (t) => {
    const bridge = await startBridge(t, 'ExitPolicy reject *:25\n');
    const client = await startClient(t, [bridge]);
    const refused = await closedPort();
    assert.equal(await socksFailure(socksOf(client), refused), SocksReply.connectionRefused);
    assert.equal(
      await socksFailure(socksOf(client), { host: 'no-such-name.invalid', port: 80 }),
      SocksReply.hostUnreachable,
    );
    assert.equal(
      await socksFailure(socksOf(client), { host: '127.0.0.1', port: 25 }),
      SocksReply.notAllowed,
    );
    await client.until(isStream(3, 'failed'));
    for (const id of [1, 2, 3]) {
      assert.deepEqual(statuses(client, 'stream', id), ['sentConnect', 'failed']);
    }
  });

  test('does not reach private addresses through a bridge that does not say so', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startEngine(t, 'ORPort auto\nShutdownWaitLength 0\n');
    const client = await startEngine(
      t,
      `SocksPort auto\nUseBridges 1\nBridge ${formatEndpoint(bridge.engine.endpoints.orPort!)}\n`,
    );
    for (const host of ['127.0.0.1', 'localhost', '::1']) {
      const { port } = target.endpoint;
      assert.equal(await socksFailure(socksOf(client), { host, port }), SocksReply.notAllowed);
    }
    await bridge.engine.setConf('ExitPolicyRejectPrivate 0\n');
    await echoes(client, target.endpoint, 'allowed now, over the link that stands');
  });

  test('without any bridge is refused before there is a circuit', async (t) => {
    const client = await startEngine(t, 'SocksPort auto\n');
    const target = { host: '192.0.2.1', port: 80 };
    assert.equal(await socksFailure(socksOf(client), target), SocksReply.notAllowed);
    await client.until(isStream(1, 'failed'));
    assert.deepEqual(statuses(client, 'stream'), ['failed']);
  });
});

describe('an HTTP tunnel', () => {
  async function ask(client: TestEngine, request: string): Promise<string> {
    const stream = await dial(client.engine.endpoints.httpTunnel[0]!);
    stream.write(request);
    return (await readAll(stream)).toString();
  }

  test('connects, hands on what came behind the request, and says in HTTP what failed', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startClient(t, [bridge]);
    const stream = await dial(client.engine.endpoints.httpTunnel[0]!);
    stream.end(`CONNECT ${target.text} HTTP/1.1\r\nHost: ${target.text}\r\n\r\nat once`);
    assert.equal(
      (await readAll(stream)).toString(),
      'HTTP/1.1 200 Connection established\r\n\r\nat once',
    );
    const refused = formatEndpoint(await closedPort());
    assert.match(
      await ask(client, `CONNECT ${refused} HTTP/1.1\r\nHost: x\r\n\r\n`),
      /^HTTP\/1.1 502 /,
    );
    assert.match(
      await ask(client, 'CONNECT nowhere HTTP/1.1\r\nHost: x\r\n\r\n'),
      /^HTTP\/1.1 400 /,
    );
    assert.match(await ask(client, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 405 /);
    assert.match(await ask(client, '\x05\x01\x00'.repeat(9)), /^HTTP\/1.1 400 /);
  });
});

describe('a circuit', () => {
  test('of two hops leads through both bridges, in this order', async (t) => {
    const target = await listen(t, echo);
    const [first, second] = [await startBridge(t), await startBridge(t)];
    const client = await startClient(t, [first, second], 'CircuitHops 2\n');
    await echoes(client, target.endpoint, 'through both');
    const built = await client.until(isCircuit(1, 'built'));
    assert.ok(built.type === 'circuit');
    assert.equal(new Set(built.path).size, 2);
    assert.deepEqual(
      client.events.filter(isCircuit(1, 'extended')).map((event) => 'path' in event && event.path),
      [built.path.slice(0, 1), built.path],
    );
    // The end of the inner bridge ends the circuit; the link to the outer one stands.
    const names = (await client.engine.getConf(['Bridge'])).map(({ value }) => value);
    assert.equal(names.length, 2);
    await Promise.all([first.engine.close(), second.engine.close()]);
    await client.until(isCircuit(1, 'closed'));
  });

  test('takes no new streams MaxCircuitDirtiness after its first, and ends with its last', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const timers = new HandTimers();
    const client = await startClient(t, [bridge], 'MaxCircuitDirtiness 10 minutes\n', { timers });
    const old = await connectThrough(client, target.endpoint);
    await timers.fire(600_000);
    await echoes(client, target.endpoint, 'on another circuit, over the same link');
    await client.until(isCircuit(2, 'built'));
    assert.equal(client.events.some(isCircuit(1, 'closed')), false);
    old.end('bye');
    assert.equal((await readAll(old)).toString(), 'bye');
    await client.until(isCircuit(1, 'closed'));
    assert.ok(!statuses(client, 'orConnection').includes('closed'));
  });

  test('that dies before its stream is connected loses it to another', async (t) => {
    const target = await listen(t, echo);
    const good = await startBridge(t);
    // Ends the whole link at the first CONNECT, before any answer, and is not there any more.
    const bad = await startPlainBridge(t, () => bad.close());
    const client = await startClient(t, [], `${bad.line}`);
    const name = client.events.length; // links are made at once
    assert.ok(name >= 0);
    await client.until(isCircuit(1, 'built')).catch(() => {});
    const { transport, endpoint, args } = good.engine.bridgeLines[0]!;
    const words = args.map(([key, value]) => `${key}=${value}`).join(' ');
    await client.engine.setConf(
      `${bad.line}Bridge ${transport} ${formatEndpoint(endpoint)} ${words}\n`,
    );
    await echoes(client, target.endpoint, 'moved');
    await client.until(isStream(1, 'closed'));
    assert.deepEqual(statuses(client, 'stream', 1), [
      'sentConnect',
      'sentConnect',
      'succeeded',
      'closed',
    ]);
  });
});

describe('bridges', () => {
  test('that vanish under load break their streams; new ones go through another bridge', async (t) => {
    const target = await listen(t, (socket) => {
      socket.resume();
      socket.write(Buffer.alloc(100_000));
    });
    const doomed = await startBridge(t);
    const other = await startBridge(t);
    const client = await startClient(t, [doomed]);
    const streams = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const stream = await connectThrough(client, target.endpoint);
        stream.on('error', () => {});
        await readBytes(stream, 100_000);
        return stream;
      }),
    );
    let resets = 0;
    const closed = streams.map(
      (stream) =>
        new Promise((resolve) => {
          stream.on('error', () => (resets += 1)).resume();
          stream.once('close', resolve);
        }),
    );
    const { transport, endpoint, args } = other.engine.bridgeLines[0]!;
    const words = args.map(([key, value]) => `${key}=${value}`).join(' ');
    const line = (await client.engine.getConf(['Bridge']))[0]!.value;
    await client.engine.setConf(
      `Bridge ${line}\nBridge ${transport} ${formatEndpoint(endpoint)} ${words}\n`,
    );
    await doomed.engine.close();
    await Promise.all(closed);
    // Not an end that could be taken for that of the data.
    assert.equal(resets, 50);
    await readBytes(await connectThrough(client, target.endpoint), 100_000);
    await client.until(isStream(50, 'failed'));
    for (let id = 1; id <= 50; id += 1) {
      assert.deepEqual(statuses(client, 'stream', id), ['sentConnect', 'succeeded', 'failed']);
    }
  });

  test('that cannot be reached are tried again with a growing pause, and used when they are back', async (t) => {
    const target = await listen(t, echo);
    const timers = new HandTimers();
    const endpoint = await closedPort();
    // The lowest of each range: half of 1, 2, 4 seconds.
    const rng = { fill: (bytes: Uint8Array) => void bytes.fill(0) };
    const client = await startEngine(
      t,
      `SocksPort auto\nUseBridges 1\nBridge ${formatEndpoint(endpoint)}\n`,
      { timers, rng },
    );
    const hasFailed = (times: number): Promise<unknown> =>
      client.until(
        () =>
          statuses(client, 'orConnection').filter((status) => status === 'failed').length === times,
      );
    await timers.fire(500);
    await hasFailed(2);
    await timers.fire(1000); // the bandwidth of a second
    await timers.fire(1000);
    await hasFailed(3);
    const waiting = connectThrough(client, target.endpoint);
    await timers.isSet(30_000);
    const bridge = await startEngine(
      t,
      `ORPort ${endpoint.port}\nExitPolicyRejectPrivate 0\nShutdownWaitLength 0\n`,
    );
    assert.ok(bridge.engine.endpoints.orPort);
    await timers.fire(2000);
    (await waiting).end();
    await client.until(isStream(1, 'succeeded'));
  });

  test('that say nothing hold nobody up while another one works', async (t) => {
    const target = await listen(t, echo);
    const mute = (socket: Duplex): void => void socket.resume();
    const drip = (socket: Duplex): void => {
      const timer = setInterval(() => socket.write('.'), 100);
      socket.resume().once('close', () => clearInterval(timer));
    };
    // As a bridge that has done its handshake, and then does nothing.
    const plain = await Promise.all([mute, mute, drip].map((serve) => listen(t, serve)));
    const obfs4 = await Promise.all([mute, drip].map((serve) => listen(t, serve)));
    const good = await startBridge(t);
    const { args } = good.engine.bridgeLines[0]!;
    const words = args.map(([key, value]) => `${key}=${value}`).join(' ');
    const lines = [
      ...plain.map(({ text }) => `Bridge ${text}\n`),
      ...obfs4.map(({ text }) => `Bridge obfs4 ${text} ${words}\n`),
      `Bridge ${formatEndpoint(await closedPort())}\n`,
    ];
    for (let start = 0; start < 5; start += 1) {
      const client = await startClient(t, [good], lines.join(''));
      await Promise.all(
        Array.from({ length: 8 }, (_, index) => echoes(client, target.endpoint, `stream ${index}`)),
      );
      assert.ok(!statuses(client, 'stream').includes('failed'));
    }
  });

  test('that are all out of reach fail a stream after each was tried once more', async (t) => {
    const timers = new HandTimers();
    const rng = { fill: (bytes: Uint8Array) => void bytes.fill(0) };
    const client = await startEngine(
      t,
      `SocksPort auto\nUseBridges 1\nBridge ${formatEndpoint(await closedPort())}\n`,
      { timers, rng },
    );
    const target = { host: '192.0.2.1', port: 80 };
    await timers.isSet(500); // the circuit ahead of need has failed
    const failure = socksFailure(socksOf(client), target);
    await timers.isSet(30_000); // the stream waits
    await timers.fire(500);
    assert.equal(await failure, SocksReply.generalFailure);
    await client.until(isStream(1, 'failed'));
    assert.deepEqual(statuses(client, 'stream'), ['failed']);
  });

  test('that fall silent under a stream are asked, and given up when they do not answer', async (t) => {
    const timers = new HandTimers();
    let freeze = (): void => {};
    const target = await listen(t, echo);
    const bridge = await startEngine(t, 'ORPort auto\nExitPolicyRejectPrivate 0\n');
    // A wire that can be cut without either end hearing of it.
    const wire = await listen(t, (socket) => {
      void dial(bridge.engine.endpoints.orPort!).then((onward) => {
        socket.pipe(onward).pipe(socket);
        freeze = () => void socket.unpipe(onward);
      });
    });
    const client = await startEngine(t, `SocksPort auto\nUseBridges 1\nBridge ${wire.text}\n`, {
      timers,
    });
    const stream = await connectThrough(client, target.endpoint);
    stream.on('error', () => {});
    await timers.fire(20_000); // it has spoken since
    await timers.fire(20_000); // silence, and a ping that is answered
    stream.write('x');
    await readBytes(stream, 1);
    freeze();
    await timers.fire(20_000);
    await timers.fire(20_000);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    await timers.fire(20_000);
    await closed;
    await client.until(isStream(1, 'failed'));
  });
});

test('500 streams on one link all get through', async (t) => {
  const target = await listen(t, echo);
  const bridge = await startBridge(t);
  const client = await startClient(t, [bridge]);
  const payload = Buffer.alloc(40_000, 'payload ');
  await Promise.all(
    Array.from({ length: 500 }, async () => {
      const stream = await connectThrough(client, target.endpoint);
      stream.end(payload);
      assert.ok((await readAll(stream)).equals(payload));
    }),
  );
  assert.deepEqual(statuses(client, 'orConnection').includes('closed'), false);
  assert.equal(client.events.filter(({ type }) => type === 'circuit').length <= 3, true);
});
