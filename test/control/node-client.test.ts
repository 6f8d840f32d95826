import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair, type Duplex } from 'node:stream';
import { describe, test, type TestContext } from 'node:test';
import { encodeEvent } from '../../src/control/encode.ts';
import type { ControlEvent } from '../../src/control/messages.ts';
import {
  connectControl,
  openControlClient,
  type ControlClient,
} from '../../src/control/node/client.ts';
import { openControlPort, openControlSocket } from '../../src/control/node/listeners.ts';
import { ControlServer } from '../../src/control/node/server.ts';
import { limits } from '../../src/limits.ts';
import { FakeEngine, frame, readFrames } from '../support/control.ts';
import { closedPort } from '../support/sockets.ts';

const loopback = { host: '127.0.0.1', port: 0 };
const DONE = frame(1);
const error = (code: number, text = ''): Buffer =>
  frame(0, Buffer.concat([Buffer.of(0, code), Buffer.from(text)]));
const log = (message: string): Buffer => encodeEvent({ type: 'log', level: 'warn', message });

/** A client in front of our own server. */
async function connectOwn(t: TestContext): Promise<{ engine: FakeEngine; client: ControlClient }> {
  const engine = new FakeEngine();
  const server = new ControlServer({ engine, secrets: () => ({}), log: () => {} });
  const listener = await openControlPort(server, loopback);
  t.after(() => listener.abort());
  const client = await connectControl(listener.endpoint);
  t.after(() => client.close());
  return { engine, client };
}

/** A client, already authenticated, in front of a script: the stream is the server’s end. */
async function connectScript(
  options: { oldTor?: boolean } = {},
): Promise<{ client: ControlClient; stream: Duplex }> {
  const [near, far] = duplexPair();
  const opening = openControlClient(async () => near, options);
  assert.equal((await readFrames(far, 1))[0]!.type, 7);
  far.write(DONE);
  return { client: await opening, stream: far };
}

async function collect(
  events: AsyncIterable<ControlEvent>,
  count: number,
): Promise<ControlEvent[]> {
  const list: ControlEvent[] = [];
  for await (const event of events) {
    list.push(event);
    if (list.length === count) break;
  }
  return list;
}

describe('client and server', () => {
  test('[TC-3.3-03] [TC-3.4-02] [TC-3.9-02] configuration: set, get, save', async (t) => {
    const { engine, client } = await connectOwn(t);
    await client.setConf([
      { key: 'ContactInfo', value: 'a # b' },
      { key: 'MaxConn', value: '7' },
    ]);
    assert.deepEqual(await client.getConf(['contactinfo', 'MaxConn', 'MyFamily']), [
      { key: 'ContactInfo', value: 'a # b' },
      { key: 'MaxConn', value: '7' },
    ]);
    await client.setConf([{ key: 'MaxConn' }]);
    assert.deepEqual(await client.getConf(['MaxConn']), [{ key: 'MaxConn', value: '1024' }]);
    await client.saveConf();
    assert.equal(engine.saves, 1);
  });

  test('[TC-3.4-06] [TC-3.4-07] hidden services are read by the virtual key', async (t) => {
    const { client } = await connectOwn(t);
    const settings = [
      { key: 'HiddenServiceDir', value: '/a' },
      { key: 'HiddenServicePort', value: '80' },
    ];
    await client.setConf(settings);
    assert.deepEqual(await client.getHiddenServiceConf(), settings);
  });

  test('[TC-3.3-04] a refusal carries the server’s code and text', async (t) => {
    const { client } = await connectOwn(t);
    await assert.rejects(client.getConf(['NoSuchKey']), {
      name: 'PosternError',
      code: 'ERR_CONTROL_REFUSED',
      replyCode: 4,
      message: /NoSuchKey/,
    });
  });

  test('[TC-3.11-06] [TC-3.13-02] mappings: made, picked, listed, removed', async (t) => {
    const { client } = await connectOwn(t);
    const name = (host: string) => ({ kind: 'name', host }) as const;
    const made = await client.mapAddress({ kind: 'ipv4', host: '10.0.0.1' }, name('a.onion'));
    const picked = await client.mapAddress({ kind: 'ipv4', host: '0.0.0.0' }, name('b.onion'));
    assert.equal(picked.original.kind, 'ipv4');
    assert.notEqual(picked.original.host, '0.0.0.0');
    assert.deepEqual(await client.mappings(), [made, picked]);
    await client.mapAddress(made.original, made.original);
    assert.deepEqual(await client.mappings(), [picked]);
  });

  test('[TC-1-08] requests are pipelined: all sent before the first is answered', async (t) => {
    const { engine, client } = await connectOwn(t);
    let release!: () => void;
    engine.gate = new Promise((resolve) => (release = resolve));
    const pending = [
      client.setConf([{ key: 'MaxConn', value: '8' }]),
      client.getConf(['MaxConn']),
      client.getConf(['Nope']).catch((refusal: { replyCode: number }) => refusal.replyCode),
      client.sendSignal('dump'),
      client.mappings(),
    ];
    release();
    assert.deepEqual(await Promise.all(pending), [
      undefined,
      [{ key: 'MaxConn', value: '8' }],
      4,
      undefined,
      [],
    ]);
  });

  test('[TC-1-07] [TC-3.6-02] events come as an async iterable, until they are turned off', async (t) => {
    const { engine, client } = await connectOwn(t);
    await client.setEvents(['circuit', 'stream', 'log']);
    engine.emit({ type: 'circuit', status: 'extended', id: 7, path: ['a', 'b'] });
    engine.emit({ type: 'bandwidth', read: 1, written: 2 });
    engine.emit({ type: 'stream', status: 'succeeded', id: 8, target: '[::1]:80' });
    engine.emit({ type: 'log', level: 'warn', message: 'careful' });
    assert.deepEqual(await collect(client.events(), 3), [
      { type: 'circuit', status: 'extended', id: 7, path: ['a', 'b'] },
      { type: 'stream', status: 'succeeded', id: 8, target: '[::1]:80' },
      { type: 'log', message: 'careful' },
    ]);
    await client.setEvents([]);
    engine.emit({ type: 'log', level: 'warn', message: 'unheard' });
    const after = client.events();
    await client.close();
    assert.deepEqual(await collect(after, 1), []);
  });

  test('[TC-3.10-08] the end of the connection is the success of halt and shutdown', async (t) => {
    for (const signal of ['halt', 'shutdown'] as const) {
      const { engine, client } = await connectOwn(t);
      await client.sendSignal(signal);
      assert.deepEqual(engine.signals, [signal]);
      assert.equal((await client.closed)?.code, 'ERR_CONTROL_CLOSED');
    }
  });

  test('over a Unix-domain socket, and disposed of at the end of a block', async (t) => {
    const { mkdtemp, rm } = await import('node:fs/promises');
    const directory = await mkdtemp('/tmp/postern-control-');
    t.after(() => rm(directory, { recursive: true }));
    const server = new ControlServer({
      engine: new FakeEngine(),
      secrets: () => ({}),
      log: () => {},
    });
    const listener = await openControlSocket(server, `${directory}/socket`);
    t.after(() => listener.close());
    let closed: Promise<unknown>;
    {
      await using client = await connectControl({ socketPath: `${directory}/socket` });
      assert.deepEqual(await client.mappings(), []);
      closed = client.closed;
    }
    assert.equal(await closed, undefined);
    await assert.rejects(connectControl({ socketPath: `${directory}/none` }), {
      code: 'ERR_CONTROL_UNREACHABLE',
    });
  });

  test('a wrong secret rejects, and so does a port where nobody listens', async (t) => {
    const secrets = { cookie: Buffer.alloc(32, 7) };
    const server = new ControlServer({
      engine: new FakeEngine(),
      secrets: () => secrets,
      log: () => {},
    });
    const listener = await openControlPort(server, loopback);
    t.after(() => listener.abort());
    await assert.rejects(connectControl(listener.endpoint, { secret: 'guess' }), { replyCode: 8 });
    const client = await connectControl(listener.endpoint, { secret: secrets.cookie });
    await client.close();
    await assert.rejects(connectControl(await closedPort()), { code: 'ERR_CONTROL_UNREACHABLE' });
  });

  test('reconnect dials, authenticates and asks for the same events again', async (t) => {
    const { engine, client } = await connectOwn(t);
    await client.setEvents(['log']);
    const first = client.closed;
    const waiting = assert.rejects(client.events().next(), { code: 'ERR_CONTROL_CLOSED' });
    await client.reconnect();
    assert.equal((await first)?.code, 'ERR_CONTROL_CLOSED');
    await waiting;
    engine.emit({ type: 'log', level: 'warn', message: 'again' });
    assert.deepEqual(await collect(client.events(), 1), [{ type: 'log', message: 'again' }]);
  });
});

describe('client against a script', () => {
  test('[TC-2-05] [TC-2-03] unknown types and a client’s own are ignored, without an answer', async () => {
    const { client, stream } = await connectScript();
    const answer = client.getConf(['A']);
    const ignored = [0x0d, 0xffff, 2, 3, 5, 7, 8, 9, 10, 12].flatMap((type) => [
      frame(type),
      frame(type, 'x'),
    ]);
    stream.write(Buffer.concat([...ignored, frame(4, 'A 1\n')]));
    assert.deepEqual(await answer, [{ key: 'A', value: '1' }]);
    assert.equal((await readFrames(stream, 1))[0]!.type, 3);
    assert.equal(stream.read(), null);
  });

  test('[TC-3.7-01] events between a request and its reply are told apart from it', async () => {
    const { client, stream } = await connectScript();
    const answers = Promise.all([client.saveConf(), client.mappings()]);
    const mapped = frame(0x0b, '\x03a\0\x03b\0');
    stream.write(
      Buffer.concat([log('1'), DONE, log('2'), mapped, log('3'), mapped, DONE, log('4')]),
    );
    assert.equal((await answers)[1].length, 2);
    const events = await collect(client.events(), 4);
    assert.deepEqual(
      events.map((event) => event.type === 'log' && event.message),
      ['1', '2', '3', '4'],
    );
  });

  test('[TC-3.7-02] malformed and unknown events are reported, and the session goes on', async () => {
    const { client, stream } = await connectScript();
    stream.write(Buffer.concat([frame(6, [0, 0x99, 1]), frame(6), frame(6, [0, 4, 1]), log('x')]));
    const kinds = (await collect(client.events(), 4)).map(({ type }) => type);
    assert.deepEqual(kinds, ['unknown', 'malformed', 'malformed', 'log']);
    const saved = client.saveConf();
    stream.write(DONE);
    await saved;
  });

  test('[TC-3.1-02] an unknown code and an empty text; control characters never reach a terminal', async () => {
    const { client, stream } = await connectScript();
    const first = client.saveConf();
    stream.write(error(0x42));
    await assert.rejects(first, { replyCode: 0x42, message: '' });
    const second = client.saveConf();
    stream.write(error(1, 'red \x1b[31m\n'));
    await assert.rejects(second, { message: 'red  [31m ' });
  });

  test('[TC-3.2-02] a DONE with a body is a success', async () => {
    const { client, stream } = await connectScript();
    const saved = client.saveConf();
    stream.write(frame(1, 'x'));
    await saved;
  });

  const broken: readonly (readonly [string, Buffer])[] = [
    ['[TC-3.1-02] an ERROR of one octet', frame(0, [0])],
    ['[TC-3.5-02] a CONFVALUE without newline', frame(4, 'A 1')],
    ['[TC-3.5-01] a CONFVALUE for a SAVECONF', frame(4, 'A 1\n')],
    ['[TC-3.12-01] a truncated ADDRESSMAPPED', frame(0x0b, [1, 0])],
    ['an ADDRESSMAPPED for a SAVECONF', frame(0x0b, '\x03a\0\x03b\0')],
    ['[TC-3.5-01] a reply to no request', Buffer.concat([DONE, DONE])],
  ];
  for (const [title, bytes] of broken) {
    test(`${title} breaks the connection off with a protocol error`, async () => {
      const { client, stream } = await connectScript();
      const pending = [client.saveConf(), client.getConf(['A'])];
      const settled = Promise.allSettled(pending);
      const first = title.includes('no request')
        ? Buffer.concat([DONE, frame(4)])
        : Buffer.alloc(0);
      stream.write(Buffer.concat([first, bytes]));
      assert.equal((await client.closed)?.code, 'ERR_CONTROL_PROTOCOL');
      const [, second] = await settled;
      if (first.length === 0) {
        assert.ok(second!.status === 'rejected');
        assert.equal((second!.reason as { code: string }).code, 'ERR_CONTROL_PROTOCOL');
      }
      await assert.rejects(client.saveConf(), { code: 'ERR_CONTROL_PROTOCOL' });
    });
  }

  test('[TC-1-03] a connection that ends in the middle of a reply fails everything that waits', async () => {
    const { client, stream } = await connectScript();
    const pending = [client.getConf(['A']), client.saveConf(), client.sendSignal('halt')];
    const settled = Promise.allSettled(pending);
    const events = client.events();
    const event = events.next();
    event.catch(() => {});
    stream.end(frame(4, 'A 1\n').subarray(0, -1));
    for (const result of await settled) {
      assert.ok(result.status === 'rejected');
      assert.equal((result.reason as { code: string }).code, 'ERR_CONTROL_CLOSED');
    }
    await assert.rejects(event, { code: 'ERR_CONTROL_CLOSED' });
    assert.equal((await client.closed)?.code, 'ERR_CONTROL_CLOSED');
  });

  test('an aborted request keeps its place in the order', async () => {
    const { client, stream } = await connectScript();
    const abort = new AbortController();
    const first = client.getConf(['A'], { signal: abort.signal });
    const second = client.getConf(['B']);
    abort.abort(new Error('no patience'));
    await assert.rejects(first, { message: 'no patience' });
    stream.write(Buffer.concat([frame(4, 'A 1\n'), frame(4, 'B 2\n')]));
    assert.deepEqual(await second, [{ key: 'B', value: '2' }]);
    await assert.rejects(client.saveConf({ signal: abort.signal }), { message: 'no patience' });
    const event = client.events({ signal: AbortSignal.timeout(1) }).next();
    await assert.rejects(event, { name: 'TimeoutError' });
    stream.write(log('later'));
    assert.equal((await collect(client.events(), 1)).length, 1);
  });

  test('[TC-3.10-05] a Tor of January 2005 gets the signal numbers that it knew', async () => {
    for (const [oldTor, code] of [
      [true, 10],
      [false, 0x10],
    ] as const) {
      const { client, stream } = await connectScript({ oldTor });
      const sent = client.sendSignal('dump');
      assert.deepEqual((await readFrames(stream, 1))[0]!.body, Buffer.of(code));
      stream.write(DONE);
      await sent;
    }
  });

  test('events that nobody takes hold the server back; a reply behind them still comes', async () => {
    const { client, stream } = await connectScript();
    let sent = 0;
    const pour = (): void => {
      while (stream.write(log(String(sent++).padEnd(1000)))) if (sent > 5000) return;
    };
    stream.on('drain', pour);
    pour();
    // What a writer can get rid of ends: the events taken, and the buffers between.
    await new Promise((resolve) => setImmediate(resolve));
    while (!stream.writableNeedDrain) await once(stream, 'drain');
    const before = sent;
    assert.ok(before < 1000, String(before));
    stream.off('drain', pour);
    const saved = client.saveConf();
    stream.write(DONE);
    await saved;
    const events = await collect(client.events(), before);
    assert.deepEqual(
      events.map((event) => event.type === 'log' && Number(event.message)),
      Array.from({ length: before }, (_, index) => index),
    );
  });

  test('a server that pours out events instead of a reply is left', async () => {
    const { client, stream } = await connectScript();
    const saved = client.saveConf();
    const settled = assert.rejects(saved, { code: 'ERR_BYTES_OVERFLOW' });
    const burst = Buffer.concat(Array.from({ length: 1000 }, () => log('x')));
    for (let count = 0; count <= limits.controlClientEvents; count += 1000) stream.write(burst);
    await settled;
    assert.equal((await client.closed)?.code, 'ERR_BYTES_OVERFLOW');
  });

  test('[TC-3.3-01] [TC-3.4-01] what cannot be sent rejects, and takes no place in the order', async () => {
    const { client, stream } = await connectScript();
    await assert.rejects(client.getConf([]), { code: 'ERR_CONTROL_UNENCODABLE' });
    await assert.rejects(client.setConf([{ key: 'A B', value: 'x' }]), {
      code: 'ERR_CONFIG_SYNTAX',
    });
    await assert.rejects(client.setConf([{ key: 'A', value: 'x'.repeat(70_000) }]), {
      code: 'ERR_CONTROL_TOO_LONG',
    });
    const saved = client.saveConf();
    stream.write(DONE);
    await saved;
  });

  test('abort waits for nothing, and ends what was close already', async () => {
    const { client } = await connectScript();
    const saved = assert.rejects(client.saveConf(), { code: 'ERR_CONTROL_CLOSED' });
    const events = client.events().next();
    const closing = client.close();
    client.abort();
    await Promise.all([saved, closing]);
    assert.equal(await client.closed, undefined);
    assert.equal((await events).done, true);
    client.abort();
  });

  test('close waits for what was asked, once and again; later requests reject', async () => {
    const { client, stream } = await connectScript();
    const saved = client.saveConf();
    const closing = [client.close(), client.close()];
    await readFrames(stream, 1);
    stream.end(DONE);
    await saved;
    await Promise.all(closing);
    assert.equal(await client.closed, undefined);
    await client.close();
    await assert.rejects(client.saveConf(), { code: 'ERR_CONTROL_CLOSED' });
  });
});
