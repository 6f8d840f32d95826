import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { seededRng } from '../support/rng.ts';
import { createExtOrClient } from '../../src/extor/client.ts';
import { decodeCookieFile } from '../../src/extor/cookie-file.ts';
import { limits } from '../../src/limits.ts';
import { runExchange } from '../../src/net/exchange.ts';
import {
  listenExtOr,
  type ExtOrListener,
  type ExtOrListenOptions,
} from '../../src/parent/extor-server.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-extor-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const userAddr = { host: '198.51.100.7', port: 4321 };

/** Listens with a cookie of its own; `failures` fills with what came to nothing. */
async function open(name: string, options: Partial<ExtOrListenOptions> = {}) {
  const connections: [Duplex, unknown][] = [];
  const failures: unknown[] = [];
  let tell = (): void => {};
  const listener = await listenExtOr({
    cookieFile: join(folder, name, 'cookie'),
    onConnection: (stream, metadata) => {
      connections.push([stream, metadata]);
      tell();
    },
    onFailure: (error) => {
      failures.push(error);
      tell();
    },
    ...options,
  });
  const next = (): Promise<void> => new Promise((resolve) => (tell = resolve));
  return { listener, connections, failures, next };
}

async function dial(listener: ExtOrListener): Promise<Socket> {
  const socket = connect(listener.endpoint.port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

async function handshake(socket: Socket, listener: ExtOrListener): Promise<void> {
  const cookie = decodeCookieFile(await readFile(listener.cookieFile));
  const client = createExtOrClient({
    cookie,
    transport: 'obfs4',
    userAddr,
    rng: seededRng('extor'),
  });
  await runExchange(socket, client);
}

describe('an Extended ORPort for server PT programs', () => {
  test('the cookie file has its format, is ours alone, and goes with the listener', async () => {
    const { listener } = await open('mode');
    const content = await readFile(listener.cookieFile);
    assert.equal(content.length, 64);
    assert.equal(content.subarray(0, 32).toString(), '! Extended ORPort Auth Cookie !\n');
    assert.equal((await stat(listener.cookieFile)).mode & 0o777, 0o600);
    const { listener: second } = await open('mode2');
    assert.notDeepEqual(await readFile(second.cookieFile), content, 'a fresh cookie each time');
    await Promise.all([listener.close(), second.close()]);
    await listener.close();
    await assert.rejects(stat(listener.cookieFile), { code: 'ENOENT' });
  });

  test('an admitted connection comes with its metadata, and payload flows both ways', async () => {
    const seen: unknown[] = [];
    const { listener, connections, next } = await open('admit', {
      admit: async (metadata) => {
        seen.push(metadata);
        return Promise.resolve(true);
      },
    });
    const socket = await dial(listener);
    const connected = next();
    await handshake(socket, listener);
    await connected;
    const [stream, metadata] = connections[0]!;
    assert.deepEqual(metadata, { userAddr, transport: 'obfs4' });
    assert.deepEqual(seen, [metadata]);
    socket.write('ping');
    assert.equal(String((await once(stream, 'data'))[0]), 'ping');
    stream.end('pong');
    assert.equal(String((await once(socket, 'data'))[0]), 'pong');
    socket.destroy();
    await listener.close();
  });

  for (const [what, admit] of [
    ['a hook that says no', () => false],
    ['a hook that fails', () => Promise.reject(new Error('no database'))],
  ] as const) {
    test(`${what} denies the client, and no payload passes`, async () => {
      const { listener, connections, failures, next } = await open('deny', { admit });
      const socket = await dial(listener);
      const failed = next();
      await assert.rejects(handshake(socket, listener), { code: 'ERR_EXTOR_DENIED' });
      await failed;
      assert.equal(connections.length, 0);
      assert.equal((failures[0] as { code?: string }).code, 'ERR_EXTOR_DENIED');
      await listener.close();
    });
  }

  test('a wrong cookie, a broken protocol and an early end come to nothing', async () => {
    const { listener, connections, failures, next } = await open('wrong');
    const wrong = await dial(listener);
    const client = createExtOrClient({
      cookie: Buffer.alloc(32),
      transport: 'obfs4',
      userAddr,
      rng: seededRng('x'),
    });
    let failed = next();
    await assert.rejects(runExchange(wrong, client), { code: 'ERR_EXTOR_AUTH' });
    // The client notices first and closes: what the listener sees is an early end.
    await failed;

    const broken = await dial(listener);
    failed = next();
    const answer: Buffer[] = [];
    broken.on('data', (chunk: Buffer) => answer.push(chunk)).on('error', () => {});
    broken.write('GET / HTTP/1.1\r\n\r\n');
    await failed;

    const early = await dial(listener);
    failed = next();
    early.end(Buffer.of(1));
    await failed;
    assert.deepEqual(
      failures.map((error) => (error as { code?: string }).code),
      ['ERR_EXTOR_CLOSED', 'ERR_EXTOR_MALFORMED', 'ERR_EXTOR_CLOSED'],
    );
    assert.equal(connections.length, 0);
    early.destroy();
    broken.destroy();
    await listener.close();
  });

  test('what a hasty program sends behind its DONE is payload', async () => {
    const { listener, connections, next } = await open('hasty');
    const cookie = decodeCookieFile(await readFile(listener.cookieFile));
    const client = createExtOrClient({
      cookie,
      transport: 'obfs4',
      userAddr,
      rng: seededRng('hasty'),
    });
    const socket = await dial(listener);
    const connected = next();
    const last: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => {
      for (const action of client.receive(chunk)) {
        // Every message of the client ends with DONE once the authentication is through.
        if (action.type === 'send') last.push(Buffer.from(action.bytes));
      }
      if (last.length > 0) {
        const bytes = Buffer.concat(last.splice(0));
        const isDone = bytes.subarray(-4).equals(Buffer.alloc(4));
        socket.write(isDone ? Buffer.concat([bytes, Buffer.from('early')]) : bytes);
      }
    });
    for (const action of client.start()) if (action.type === 'send') socket.write(action.bytes);
    await connected;
    assert.equal(String((await once(connections[0]![0], 'data'))[0]), 'early');
    socket.destroy();
    await listener.close();
  });

  test('who is never admitted gives its place back when its time is up', async (t) => {
    const table = limits as { -readonly [K in keyof typeof limits]: number };
    const { extorPendingConnections } = limits;
    t.after(() => void (table.extorPendingConnections = extorPendingConnections));
    table.extorPendingConnections = 2;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let asked!: () => void;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    let admits = false;
    const { listener, failures, next } = await open('never', {
      admit: () => {
        asked();
        return admits || new Promise<boolean>(() => {});
      },
    });
    const waiting = await dial(listener);
    const refused = assert.rejects(handshake(waiting, listener), { code: 'ERR_EXTOR_CLOSED' });
    await isAsked;
    const silent = await dial(listener);
    await once(silent, 'data');
    t.mock.timers.tick(limits.extorHandshakeMs - 1);
    assert.equal(failures.length, 0);
    t.mock.timers.tick(1);
    await refused;
    await once(silent.resume(), 'close');
    assert.deepEqual(
      failures.map((error) => (error as { code?: string }).code),
      ['ERR_EXTOR_TIMED_OUT', 'ERR_EXTOR_TIMED_OUT'],
    );
    admits = true;
    const socket = await dial(listener);
    const connected = next();
    await handshake(socket, listener);
    await connected;
    for (const end of [socket, silent, waiting]) end.destroy();
    await listener.close();
  });

  test('past the cap on connections that wait the oldest makes room', async (t) => {
    const table = limits as { -readonly [K in keyof typeof limits]: number };
    const { extorPendingConnections } = limits;
    t.after(() => void (table.extorPendingConnections = extorPendingConnections));
    table.extorPendingConnections = 2;
    const { listener, connections, failures, next } = await open('full');
    const [first, second] = [await dial(listener), await dial(listener)];
    for (const socket of [first, second]) await once(socket, 'readable');
    const failed = next();
    const third = await dial(listener);
    await once(first.resume(), 'close');
    await failed;
    assert.equal((failures[0] as { code?: string }).code, 'ERR_EXTOR_CLOSED');
    await handshake(second, listener);
    // Who is admitted counts no more.
    const fourth = await dial(listener);
    await once(fourth, 'readable');
    assert.ok(!connections[0]![0].destroyed);
    await handshake(third, listener);
    for (const end of [first, second, third, fourth]) end.destroy();
    await listener.close();
  });

  test('a handler that throws costs its connection', async () => {
    const { listener, failures, next } = await open('throwing', {
      onConnection: () => {
        throw new Error('a defect');
      },
    });
    const socket = await dial(listener);
    const failed = next();
    await handshake(socket, listener);
    await failed;
    assert.match(String(failures[0]), /a defect/);
    await once(socket.resume(), 'close');
    await listener.close();
  });

  test('abort takes the cookie with it, and no cookie but its own', async () => {
    const { listener } = await open('abort');
    const socket = await dial(listener);
    const ended = once(socket.resume(), 'close');
    listener.abort();
    await Promise.all([ended, listener.closed]);
    // Not waited for: whoever aborts has no time.
    while (existsSync(listener.cookieFile)) await new Promise(setImmediate);
    await listener.close();

    const { listener: first } = await open('twice');
    const { listener: second } = await open('twice');
    await first.close();
    assert.equal((await stat(second.cookieFile)).size, 64);
    await second[Symbol.asyncDispose]();
    await assert.rejects(stat(second.cookieFile), { code: 'ENOENT' });
  });

  test('a cookie that cannot be written, a relative path, and a port in use', async () => {
    const onConnection = (): void => {};
    await assert.rejects(listenExtOr({ cookieFile: 'cookie', onConnection }), {
      code: 'ERR_EXTOR_COOKIE',
    });
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(
      listenExtOr({ cookieFile: join(folder, 'file', 'cookie'), onConnection }),
      {
        code: 'ERR_EXTOR_COOKIE',
      },
    );
    const { listener } = await open('port');
    const cookieFile = join(folder, 'port2');
    await assert.rejects(listenExtOr({ cookieFile, port: listener.endpoint.port, onConnection }), {
      code: 'ERR_LISTEN_IN_USE',
    });
    await assert.rejects(stat(cookieFile), { code: 'ENOENT' });
    await listener.close();
  });
});
