import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair, type Duplex } from 'node:stream';
import { describe, test, type TestContext } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { ControlSecrets } from '../../src/control/authentication.ts';
import {
  makeControlCookie,
  readControlCookie,
  writeControlCookie,
} from '../../src/control/node/cookie-file.ts';
import { connectControl } from '../../src/control/node/client.ts';
import { openControlPort, openControlSocket } from '../../src/control/node/listeners.ts';
import { ControlServer } from '../../src/control/node/server.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { limits } from '../../src/limits.ts';
import { describeFrame, FakeEngine, frame, readFrames } from '../support/control.ts';
import { readAll } from '../support/sockets.ts';

const loopback = { host: '127.0.0.1', port: 0 };

interface Host {
  readonly engine: FakeEngine;
  readonly server: ControlServer;
  readonly lines: string[];
}

function createHost(t: TestContext, secrets: ControlSecrets = {}): Host {
  const engine = new FakeEngine();
  const lines: string[] = [];
  const log = (level: string, message: string): number => lines.push(`${level}: ${message}`);
  const server = new ControlServer({ engine, secrets: () => secrets, log });
  t.after(() => server.close());
  return { engine, server, lines };
}

async function connectTo(t: TestContext, server: ControlServer): Promise<Socket> {
  const listener = await openControlPort(server, loopback);
  t.after(() => listener.abort());
  return dial(t, listener.endpoint.port);
}

async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function replies(stream: Duplex, count: number): Promise<string[]> {
  return (await readFrames(stream, count)).map(describeFrame);
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postern-control-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

describe('control server', () => {
  test('[TC-1-01] two controllers on one port get each their own replies', async (t) => {
    const { server } = createHost(t);
    const listener = await openControlPort(server, loopback);
    t.after(() => listener.abort());
    const [first, second] = [
      await dial(t, listener.endpoint.port),
      await dial(t, listener.endpoint.port),
    ];
    first.write(Buffer.concat([frame(7), frame(3, 'SocksPort\n')]));
    second.write(Buffer.concat([frame(7), frame(3, 'MaxConn\n')]));
    assert.deepEqual(await replies(second, 2), ['DONE', 'CONFVALUE "MaxConn 1024\\n"']);
    assert.deepEqual(await replies(first, 2), ['DONE', 'CONFVALUE "SocksPort 19150\\n"']);
  });

  test('[TC-1-02] the same bytes over TCP, a Unix-domain socket, TLS and a stream in memory', async (t) => {
    const { server } = createHost(t);
    const directory = await temporaryDirectory(t);
    const exchange = async (stream: Duplex): Promise<string> => {
      stream.end(Buffer.concat([frame(7), frame(3, 'SocksPort\n'), frame(0x99), frame(12)]));
      return (await readAll(stream)).toString('hex');
    };
    const overTcp = await exchange(await connectTo(t, server));
    assert.match(overTcp, /^00000001/);

    const path = join(directory, 'socket');
    const socketListener = await openControlSocket(server, path);
    t.after(() => socketListener.close());
    assert.equal(await exchange(connect({ path, allowHalfOpen: true })), overTcp);

    const [near, far] = duplexPair();
    server.accept(far, { from: 'loopback' });
    assert.equal(await exchange(near), overTcp);

    // A shared key needs no certificates.
    const tls = { ciphers: 'PSK', maxVersion: 'TLSv1.2', allowHalfOpen: true } as const;
    const psk = Buffer.alloc(16, 1);
    const tlsServer = createTlsServer({ ...tls, pskCallback: () => psk }, (stream) => {
      server.accept(stream, { from: 'loopback' });
    });
    t.after(() => tlsServer.close());
    await once(tlsServer.listen(0, '127.0.0.1'), 'listening');
    const { port } = tlsServer.address() as { port: number };
    const overTls = connectTls({
      ...tls,
      port,
      host: '127.0.0.1',
      pskCallback: () => ({ psk, identity: 'controller' }),
      checkServerIdentity: () => undefined,
    });
    assert.equal(await exchange(overTls), overTcp);
  });

  test('[TC-1-08] [TC-1-03] thousands of pipelined requests are answered in order', async (t) => {
    const socket = await connectTo(t, createHost(t).server);
    const count = 3000;
    const requests = Array.from({ length: count }, (_, index) => [
      frame(2, `ContactInfo ${index}\n`),
      frame(3, 'ContactInfo\n'),
    ]);
    socket.write(Buffer.concat([frame(7), ...requests.flat()]));
    const answers = await replies(socket, 1 + 2 * count);
    for (let index = 0; index < count; index += 1) {
      assert.equal(answers[1 + 2 * index], 'DONE');
      assert.equal(answers[2 + 2 * index], `CONFVALUE "ContactInfo ${index}\\n"`);
    }
  });

  test('a controller that leaves in the middle of a frame, or of a request, hurts nobody', async (t) => {
    const { engine, server } = createHost(t);
    const listener = await openControlPort(server, loopback);
    t.after(() => listener.abort());
    const { port } = listener.endpoint;
    const half = await dial(t, port);
    half.end(Buffer.concat([frame(7), frame(2, 'ContactInfo x\n').subarray(0, 9)]));
    assert.deepEqual((await readAll(half)).toString('hex'), '00000001');

    let release!: () => void;
    engine.gate = new Promise((resolve) => (release = resolve));
    const gone = await dial(t, port);
    gone.write(Buffer.concat([frame(7), frame(8)]));
    assert.deepEqual(await replies(gone, 1), ['DONE']);
    gone.resetAndDestroy();
    release();

    const next = await dial(t, port);
    next.write(Buffer.concat([frame(7), frame(3, 'ContactInfo\n')]));
    assert.deepEqual(await replies(next, 2), ['DONE', 'CONFVALUE ""']);
  });

  test('[TC-3.1-04] a failure is logged, and the log line comes before the ERROR', async (t) => {
    const { engine, server, lines } = createHost(t);
    const socket = await connectTo(t, server);
    engine.failure = new Error('no space left');
    socket.write(Buffer.concat([frame(7), frame(8), frame(8)]));
    assert.deepEqual(await replies(socket, 3), ['DONE', 'ERROR 1', 'DONE']);
    assert.deepEqual(lines, ['warn: the control request saveConf failed: no space left']);
  });

  test('[TC-3.7-13] notices, warnings and errors are told, and nothing below them', async (t) => {
    const { engine, server } = createHost(t);
    const socket = await connectTo(t, server);
    socket.write(Buffer.concat([frame(7), frame(5, [0, 5])]));
    assert.deepEqual(await replies(socket, 2), ['DONE', 'DONE']);
    for (const level of ['debug', 'info', 'notice', 'warn', 'err'] as const) {
      engine.emit({ type: 'log', level, message: level });
    }
    const expected = ['notice', 'warn', 'err'].map(
      (level) => `EVENT 0005${Buffer.from(level).toString('hex')}00`,
    );
    assert.deepEqual(await replies(socket, 3), expected);
    socket.write(frame(8));
    assert.deepEqual(await replies(socket, 1), ['DONE']);
  });

  test('[TC-4.2-01] 16 MiB unread close one connection; just under it nothing is lost', async (t) => {
    const { engine, server, lines } = createHost(t);
    const streams: Duplex[] = [];
    // Streams in memory: no kernel takes part of the bytes, so the count is exact.
    const accept = async (): Promise<Duplex> => {
      const [near, far] = duplexPair({ highWaterMark: 0 });
      streams.push(far);
      server.accept(far, { from: 'loopback' });
      near.write(Buffer.concat([frame(7), frame(5, [0, 5])]));
      assert.deepEqual(await replies(near, 2), ['DONE', 'DONE']);
      return near;
    };
    const message = 'x'.repeat(65_528 - 8 - 3 - 4);
    const event = { type: 'log', level: 'notice', message } as const;
    const frameBytes = 4 + 2 + message.length + 1;
    const justUnder = Math.floor((limits.controlUnsentBytes - 1) / frameBytes);

    const reader = await accept();
    for (let count = 0; count < justUnder; count += 1) engine.emit(event);
    const frames = await readFrames(reader, justUnder);
    assert.ok(frames.every(({ body }) => body.length === frameBytes - 4));
    assert.deepEqual(lines, []);
    reader.write(frame(5));
    assert.deepEqual(await replies(reader, 1), ['DONE']);

    await accept();
    for (let count = 0; count < justUnder; count += 1) engine.emit(event);
    assert.deepEqual(lines, []);
    engine.emit(event);
    assert.deepEqual(lines, ['warn: closed: a controller did not read what it asked for']);
    engine.emit(event);
    assert.equal(lines.length, 1);
    reader.write(frame(8));
    assert.deepEqual(await replies(reader, 1), ['DONE']);
    for (const stream of streams) stream.destroy();
  });

  test('over TCP a controller that reads nothing is cut off, and the others are not', async (t) => {
    const { engine, server, lines } = createHost(t);
    const listener = await openControlPort(server, loopback);
    t.after(() => listener.abort());
    const idle = await dial(t, listener.endpoint.port);
    const other = await dial(t, listener.endpoint.port);
    for (const socket of [idle, other]) {
      socket.write(Buffer.concat([frame(7), frame(5, [0, 5])]));
      assert.deepEqual(await replies(socket, 2), ['DONE', 'DONE']);
    }
    let received = 0;
    other.on('data', (chunk: Buffer) => (received += chunk.length));
    const event = { type: 'log', level: 'warn', message: 'x'.repeat(60_000) } as const;
    let emitted = 0;
    while (lines.length === 0) {
      for (let count = 0; count < 20; count += 1, emitted += 1) engine.emit(event);
      while (received < emitted * 60_007) await once(other, 'data');
    }
    assert.deepEqual(lines, ['warn: closed: a controller did not read what it asked for']);
    assert.ok(emitted * 60_007 >= limits.controlUnsentBytes);
  });

  test('who does not authenticate makes room for who comes next, and only at its own listener', async (t) => {
    const { server, lines } = createHost(t);
    const [a, b] = [{}, {}];
    const pairs: (readonly [Duplex, Duplex])[] = [];
    const connectBy = (listener: object): readonly [Duplex, Duplex] => {
      const pair = duplexPair();
      pairs.push(pair);
      server.accept(pair[1], { from: 'loopback', listener });
      return pair;
    };
    const elsewhere = connectBy(b);
    const idle = Array.from({ length: limits.controlGuests }, () => connectBy(a));
    assert.deepEqual(lines, []);
    const controller = connectBy(a);
    controller[0].write(frame(7));
    assert.deepEqual(await replies(controller[0], 1), ['DONE']);
    assert.ok(idle[0]![1].destroyed && !idle[1]![1].destroyed);
    // The controller counts no more among them.
    connectBy(a);
    assert.ok(!idle[1]![1].destroyed);
    connectBy(a);
    assert.ok(idle[1]![1].destroyed && !idle[2]![1].destroyed);
    assert.ok(!controller[1].destroyed && !elsewhere[1].destroyed);
    const warning =
      'warn: too many control connections that do not authenticate; closed the oldest';
    assert.deepEqual(lines, [warning, warning]);
    for (const [, far] of pairs) far.destroy();
  });

  test('past the cap on controllers the newcomer is closed; those of ControlSockets count apart', async (t) => {
    const { server, lines } = createHost(t);
    const pairs: (readonly [Duplex, Duplex])[] = [];
    const connectFrom = (from: 'loopback' | 'socket'): readonly [Duplex, Duplex] => {
      const pair = duplexPair();
      pairs.push(pair);
      server.accept(pair[1], { from });
      return pair;
    };
    const authenticate = async ([near]: readonly [Duplex, Duplex]): Promise<void> => {
      near.write(frame(7));
      assert.deepEqual(await replies(near, 1), ['DONE']);
    };
    const many = Array.from({ length: limits.controlConnections });
    const controllers = many.map(() => connectFrom('loopback'));
    for (const controller of controllers) await authenticate(controller);
    const late = connectFrom('loopback');
    late[0].write(frame(7));
    await once(late[1], 'close');
    const owners = many.map(() => connectFrom('socket'));
    // Of theirs, who has said nothing makes room; past them the newcomer is closed as well.
    for (const owner of owners.slice(1)) await authenticate(owner);
    const next = connectFrom('socket');
    assert.ok(owners[0]![1].destroyed && !next[1].destroyed);
    await authenticate(next);
    assert.ok(connectFrom('socket')[1].destroyed);
    const warning = 'warn: too many controllers; closed the newcomer';
    const silent = 'warn: too many controllers; closed the oldest that has said nothing';
    assert.deepEqual(lines, [warning, silent, warning]);
    // A place that is left is free, and no second AUTHENTICATE takes another one.
    await authenticate(controllers[1]!);
    controllers[0]![1].destroy();
    await once(controllers[0]![1], 'close');
    await authenticate(connectFrom('loopback'));
    for (const [, far] of pairs) far.destroy();
  });

  test('who does not authenticate within 30 s is closed; who did stays', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { server, lines } = createHost(t);
    const [silent, served] = [duplexPair(), duplexPair()];
    server.accept(silent[1], { from: 'loopback' });
    server.accept(served[1], { from: 'loopback' });
    served[0].write(frame(7));
    assert.deepEqual(await replies(served[0], 1), ['DONE']);
    t.mock.timers.tick(limits.controlAuthenticationMs - 1);
    assert.ok(!silent[1].writableEnded);
    t.mock.timers.tick(1);
    assert.equal((await readAll(silent[0])).length, 0);
    assert.deepEqual(lines, ['notice: closed: the controller did not authenticate in time']);
    served[0].write(frame(8));
    assert.deepEqual(await replies(served[0], 1), ['DONE']);
    silent[0].destroy();
    served[0].destroy();
    served[1].destroy();
    silent[1].destroy();
    t.mock.timers.reset();
  });

  test('[TC-3.10-03] [TC-3.10-07] [TC-3.10-08] halt: earlier replies, the end, no reply', async (t) => {
    const { engine, server } = createHost(t);
    const socket = await connectTo(t, server);
    socket.write(Buffer.concat([frame(7), frame(8), frame(9, [0x15]), frame(8)]));
    assert.equal((await readAll(socket)).toString('hex'), '0000000100000001');
    assert.deepEqual(engine.signals, ['halt']);
  });

  test('close ends every connection and leaves the engine alone', async (t) => {
    const { engine, server } = createHost(t);
    const socket = await connectTo(t, server);
    socket.write(Buffer.concat([frame(7), frame(8)]));
    assert.deepEqual(await replies(socket, 2), ['DONE', 'DONE']);
    const closed = server.close();
    assert.equal((await readAll(socket)).length, 0);
    socket.end();
    await closed;
    await server.close();
    assert.equal(engine.listenerCount, 0);
  });
});

describe('listeners', () => {
  test('[TC-1-04] [TC-4.1-05] the control port is on loopback', async (t) => {
    const { server } = createHost(t);
    const listener = await openControlPort(server, loopback);
    t.after(() => listener.abort());
    assert.equal(listener.endpoint.host, '127.0.0.1');
  });

  test('[TC-1-04] elsewhere it needs authentication', async (t) => {
    const { server } = createHost(t);
    await assert.rejects(openControlPort(server, { host: '0.0.0.0', port: 0 }), {
      code: 'ERR_CONTROL_UNPROTECTED',
    });
    const cookie = Buffer.alloc(32, 7);
    const guarded = createHost(t, { cookie });
    const listener = await openControlPort(guarded.server, { host: '0.0.0.0', port: 0 });
    t.after(() => listener.abort());
    const socket = await dial(t, listener.endpoint.port);
    socket.write(Buffer.concat([frame(7), frame(7, cookie)]));
    assert.deepEqual(await replies(socket, 2), ['ERROR 8', 'DONE']);
  });

  test('[TC-4.1-05] methods 1, 3 and 4 are served on loopback', async (t) => {
    const cookie = Buffer.alloc(32, 7);
    for (const secrets of [{}, { cookie }, { passphrases: [] }]) {
      const socket = await connectTo(t, createHost(t, secrets).server);
      socket.write(frame(7, 'cookie' in secrets ? cookie : ''));
      assert.deepEqual(await replies(socket, 1), ['DONE']);
    }
  });

  test('a port in use is an error, and closing the listener leaves connections alone', async (t) => {
    const { server } = createHost(t);
    const listener = await openControlPort(server, loopback);
    t.after(() => listener.abort());
    await assert.rejects(openControlPort(server, listener.endpoint), { code: 'ERR_LISTEN_IN_USE' });
    const socket = await dial(t, listener.endpoint.port);
    socket.write(frame(7));
    assert.deepEqual(await replies(socket, 1), ['DONE']);
    await listener.close();
    socket.write(frame(8));
    assert.deepEqual(await replies(socket, 1), ['DONE']);
  });

  test('[TC-4.1-02] the control socket is its owner’s, and needs no AUTHENTICATE', async (t) => {
    const { server } = createHost(t);
    const path = join(await temporaryDirectory(t), 'socket');
    const listener = await openControlSocket(server, path);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const socket = connect({ path, allowHalfOpen: true });
    socket.write(frame(3, 'SocksPort\n'));
    assert.deepEqual(await replies(socket, 1), ['CONFVALUE "SocksPort 19150\\n"']);
    socket.destroy();
    await listener.close();
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  test('[TC-4.1-02] the owner’s empty AUTHENTICATE is taken at the control socket, whatever the port asks for', async (t) => {
    const { server } = createHost(t, { cookie: Buffer.alloc(32, 7) });
    const path = join(await temporaryDirectory(t), 'socket');
    const listener = await openControlSocket(server, path);
    t.after(() => listener.close());
    const socket = connect({ path, allowHalfOpen: true });
    socket.write(Buffer.concat([frame(7), frame(3, 'SocksPort\n')]));
    assert.deepEqual(await replies(socket, 2), ['DONE', 'CONFVALUE "SocksPort 19150\\n"']);
    // Who proves something all the same may be wrong about it.
    socket.write(Buffer.concat([frame(7, Buffer.alloc(32, 8)), frame(7, Buffer.alloc(32, 7))]));
    assert.match((await replies(socket, 2)).join(), /^ERROR 8.*,DONE$/);
    socket.destroy();
    const port = await connectTo(t, server);
    port.write(frame(7));
    assert.match((await replies(port, 1)).join(), /^ERROR/);
  });

  test('[TC-4.1-02] a control socket that everybody may open asks for what the port asks for', async (t) => {
    const { server } = createHost(t, { cookie: Buffer.alloc(32, 7) });
    const path = join(await temporaryDirectory(t), 'socket');
    const listener = await openControlSocket(server, path, { isWorldWritable: true });
    t.after(() => listener.close());
    const socket = connect({ path, allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.write(Buffer.concat([frame(3, 'SocksPort\n'), frame(7)]));
    assert.match((await replies(socket, 2)).join(), /^ERROR.*,ERROR/);
    socket.write(Buffer.concat([frame(7, Buffer.alloc(32, 7)), frame(3, 'SocksPort\n')]));
    assert.deepEqual(await replies(socket, 2), ['DONE', 'CONFVALUE "SocksPort 19150\\n"']);
  });

  test('a controller at the control socket that goes while its request is carried out is noticed', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { server, engine } = createHost(t);
    const accept = t.mock.method(server, 'accept');
    engine.gate = new Promise(() => {});
    const called = new Promise<void>((resolve) => (engine.onCall = resolve));
    const path = join(await temporaryDirectory(t), 'socket');
    const listener = await openControlSocket(server, path);
    const socket = connect({ path });
    socket.write(frame(3, 'SocksPort\n'));
    await called;
    const [stream] = accept.mock.calls[0]!.arguments;
    socket.destroy();
    await once(socket, 'close');
    const gone = new Promise((resolve) => stream.once('close', resolve));
    t.mock.timers.tick(limits.resetCheckMs);
    await gone;
    await listener.close();
  });

  test('[TC-4.1-02] a directory that others can enter is refused, and so is none', async (t) => {
    const { server } = createHost(t);
    const directory = await temporaryDirectory(t);
    const refused = { code: 'ERR_UNIX_SOCKET' };
    for (const mode of [0o755, 0o710, 0o701, 0o770]) {
      await chmod(directory, mode);
      await assert.rejects(openControlSocket(server, join(directory, 'socket')), refused);
    }
    await assert.rejects(openControlSocket(server, join(directory, 'none', 'socket')), refused);
    assert.deepEqual(await readdir(directory), []);
  });

  test('Tor’s flags let in the group, and a directory that others can read', async (t) => {
    const { server } = createHost(t);
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'socket');
    const modes = [
      [{ isGroupWritable: true }, [0o700, 0o750], [0o755, 0o770], 0o660],
      [{ isDirectoryRelaxed: true }, [0o700, 0o755, 0o711], [0o775, 0o757], 0o600],
      [{ isGroupWritable: true, isDirectoryRelaxed: true }, [0o755], [0o770], 0o660],
    ] as const;
    for (const [access, good, bad, mode] of modes) {
      for (const one of good) {
        await chmod(directory, one);
        const listener = await openControlSocket(server, path, access);
        assert.equal((await stat(path)).mode & 0o777, mode);
        await listener.close();
      }
      for (const one of bad) {
        await chmod(directory, one);
        await assert.rejects(openControlSocket(server, path, access), {
          code: 'ERR_UNIX_SOCKET',
        });
      }
    }
  });

  test('a path that the system would cut is refused, by who listens and by who dials', async (t) => {
    const { server } = createHost(t);
    const directory = await temporaryDirectory(t);
    const tooLong = {
      code: 'ERR_SOCKET_PATH',
      message: /has 108 bytes, and this system takes 107/,
    };
    const path = join(directory, 'x'.repeat(200));
    const fitting = path.slice(0, 107);
    await assert.rejects(openControlSocket(server, path.slice(0, 108)), tooLong);
    await assert.rejects(connectControl({ socketPath: path.slice(0, 108) }), tooLong);
    assert.deepEqual(await readdir(directory), []);
    const listener = await openControlSocket(server, fitting);
    await (await connectControl({ socketPath: fitting })).close();
    await listener.close();
  });

  test('a socket that a dead server left is replaced; a living one and a file are not', async (t) => {
    const { server } = createHost(t);
    const path = join(await temporaryDirectory(t), 'socket');
    const dead = createServer();
    await once(dead.listen(path), 'listening');
    const living = openControlSocket(server, path);
    await assert.rejects(living, { code: 'ERR_LISTEN_IN_USE' });
    // Node removes the file of a server that closes; a killed one leaves it.
    const left = `${path}.left`;
    await link(path, left);
    dead.close();
    const listener = await openControlSocket(server, left);
    await listener.close();
    await writeFile(path, 'mine');
    await assert.rejects(openControlSocket(server, path), { code: 'ERR_UNIX_SOCKET' });
    assert.equal(await readFile(path, 'utf8'), 'mine');
  });
});

describe('the end of a server', () => {
  test('leaves nobody without the answer that they wait for, and begins nothing more', async (t) => {
    const { server, engine } = createHost(t);
    const socket = await connectTo(t, server);
    let open!: () => void;
    engine.gate = new Promise((resolve) => (open = resolve));
    const begun = new Promise<void>((resolve) => (engine.onCall = resolve));
    socket.write(Buffer.concat([frame(7), frame(8), frame(8)]));
    await begun;
    const closed = server.close();
    open();
    await closed;
    assert.equal((await readAll(socket)).toString('hex'), '0000000100000001');
    assert.equal(engine.saves, 1);
  });

  test('does not wait for what takes too long', async (t) => {
    const { server, engine } = createHost(t);
    const socket = await connectTo(t, server);
    engine.gate = new Promise(() => {});
    const begun = new Promise<void>((resolve) => (engine.onCall = resolve));
    socket.write(Buffer.concat([frame(7), frame(8)]));
    await begun;
    await server.close();
    assert.equal((await readAll(socket)).toString('hex'), '00000001');
  });
});

describe('cookie file', () => {
  test('[TC-4.1-03] 32 random bytes for the owner only, new at each start', async (t) => {
    const path = join(await temporaryDirectory(t), 'control_auth_cookie');
    const first = makeControlCookie(systemRng);
    await writeControlCookie(path, first);
    assert.equal(first.length, 32);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readFile(path), first);
    await chmod(path, 0o644);
    const second = makeControlCookie(systemRng);
    await writeControlCookie(path, second);
    assert.notDeepEqual(second, first);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readControlCookie(path), second);
  });

  test('a cookie that cannot be written is an error', async (t) => {
    const directory = await temporaryDirectory(t);
    const cookie = makeControlCookie(systemRng);
    await assert.rejects(writeControlCookie(join(directory, 'none', 'cookie'), cookie), {
      code: 'ERR_CONTROL_COOKIE',
    });
  });

  test('a client sends nothing that is not a cookie of its own', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'cookie');
    const refused = { code: 'ERR_CONTROL_COOKIE' };
    await assert.rejects(readControlCookie(path), refused);
    for (const length of [0, 31, 33, 5000]) {
      await writeFile(path, Buffer.alloc(length), { mode: 0o600 });
      await assert.rejects(readControlCookie(path), refused);
    }
    await writeFile(path, Buffer.alloc(32));
    for (const mode of [0o644, 0o660, 0o602, 0o620]) {
      await chmod(path, mode);
      await assert.rejects(readControlCookie(path), refused);
    }
    await chmod(path, 0o600);
    await readControlCookie(path);
    await symlink(path, `${path}.link`);
    await assert.rejects(readControlCookie(`${path}.link`), refused);
    await mkdir(`${path}.directory`);
    await assert.rejects(readControlCookie(`${path}.directory`), refused);
  });
});
