/** Step 6: payload from an application through both proxies to the server and back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { createSocksClient } from '../../src/socks/client.ts';
import { runExchange } from '../../src/net/exchange.ts';
import { createHash } from 'node:crypto';
import {
  clientEnv,
  serverEnv,
  startManaged,
  temporaryDirectory,
  type Managed,
} from '../support/managed.ts';
import {
  closedPort,
  dial,
  echo,
  listen,
  readAll,
  readBytes,
  socksConnect,
} from '../support/sockets.ts';

interface Pair {
  readonly client: Managed;
  readonly server: Managed;
  /** Connects through both. */
  readonly connect: () => Promise<Duplex>;
}

/** A client and a server, the server in front of what handles `onConnection`. */
async function startPair(
  t: TestContext,
  onConnection: Parameters<typeof listen>[1],
): Promise<Pair> {
  const app = await listen(t, onConnection);
  const server = startManaged(t, serverEnv(temporaryDirectory(t), { TOR_PT_ORPORT: app.text }));
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  const [proxy, target, args] = await Promise.all([
    client.endpoint(),
    server.endpoint(),
    server.socksArguments(),
  ]);
  return { client, server, connect: () => socksConnect(proxy, target, args) };
}

test('[PT-3-11] [PT-2-01] [PT-2-03] [PT-1-01] a megabyte each way, byte for byte', async (t) => {
  const { connect } = await startPair(t, echo);
  const stream = await connect();
  const payload = Buffer.alloc(1 << 20, 'the quick brown fox ');
  stream.end(payload);
  const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  assert.equal(hash(await readAll(stream)), hash(payload));
});

test('[PT-2-01] [PT-2-03] what passes between the proxies is the transport’s encoding', async (t) => {
  const app = await listen(t, echo);
  const server = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_ORPORT: app.text,
      TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:key=1',
    }),
  );
  const target = await server.endpoint();
  const seen = { forth: '', back: '' };
  const tap = await listen(t, (near) => {
    void dial(target).then((far) => {
      near.on('data', (chunk: Buffer) => void (seen.forth += chunk.toString('latin1')));
      far.on('data', (chunk: Buffer) => void (seen.back += chunk.toString('latin1')));
      near.pipe(far).pipe(near);
    });
  });
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  const stream = await socksConnect(await client.endpoint(), tap.endpoint, 'key=1');
  stream.end('HAL');
  assert.equal((await readAll(stream)).toString(), 'HAL');
  assert.deepEqual(seen, { forth: 'SPU2IBM', back: 'PLIBM' });
});

test('[PT-3-11] half-close is relayed: the client’s end arrives, and the answer still gets back', async (t) => {
  const { connect } = await startPair(t, (socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
    // Answers only once it has seen the end.
    socket.on('end', () => socket.end(`got ${Buffer.concat(chunks).toString()}`));
  });
  const stream = await connect();
  stream.end('all of it');
  assert.equal((await readAll(stream)).toString(), 'got all of it');
});

test('[PT-3-11] half-close the other way: the server’s end arrives, and the client goes on', async (t) => {
  let received: Promise<Buffer> | undefined;
  const { connect } = await startPair(t, (socket) => {
    socket.end('greeting');
    received = readAll(socket);
  });
  const stream = await connect();
  assert.equal((await readAll(stream)).toString(), 'greeting');
  stream.end('still heard');
  assert.equal((await received!).toString(), 'still heard');
});

test('[PT-3-11] a reset on one side ends the connection on the other', async (t) => {
  const { connect } = await startPair(t, (socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  const stream = await connect();
  stream.write('x');
  assert.equal((await readAll(stream)).length, 0);
  await once(stream.end(), 'close');
});

test('bytes that a client sends behind its SOCKS request, without waiting, are kept', async (t) => {
  const { connect, client, server } = await startPair(t, echo);
  (await connect()).destroy();
  const stream = await dial(await client.endpoint());
  // SOCKS4: everything in one write, before any answer.
  const { host, port } = await server.endpoint();
  const args = await server.socksArguments();
  const handshake = createSocksClient({
    version: 'socks4',
    target: { host, port },
    userId: Buffer.from(args),
  });
  const [request] = handshake.start();
  assert.ok(request?.type === 'send');
  stream.write(Buffer.concat([request.bytes, Buffer.from('early bird')]));
  // The request is on its way already.
  handshake.start = () => [];
  await runExchange(stream, handshake);
  assert.equal((await readBytes(stream, 10)).toString(), 'early bird');
  stream.destroy();
});

test('[PT-3.2.3-16] [PT-3.2.3-17] the ORPort gets the payload and nothing else', async (t) => {
  let received: Promise<Buffer> | undefined;
  const { connect } = await startPair(t, (socket) => {
    received = readAll(socket);
    socket.end();
  });
  const stream = await connect();
  stream.end('payload');
  await readAll(stream);
  assert.equal((await received!).toString(), 'payload');
});

test('[PT-2-03] [PT-3.2.3-17] who fails the handshake reaches nobody and is told nothing', async (t) => {
  let reached = 0;
  const { server, connect } = await startPair(t, (socket) => {
    reached += 1;
    echo(socket);
  });
  const probe = await dial(await server.endpoint());
  probe.write('GET / HTTP/1.0\r\n\r\n');
  assert.equal((await readAll(probe)).length, 0);
  assert.equal(reached, 0);
  (await connect()).destroy();
});

test('[PT-3.2.3-16] without a destination a server starts, says so, and closes what comes', async (t) => {
  const server = startManaged(t, serverEnv(temporaryDirectory(t)));
  await server.line(/^SMETHODS DONE$/);
  await server.line(/^LOG SEVERITY=warning MESSAGE=".*connections will be closed"$/);
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  const stream = await socksConnect(
    await client.endpoint(),
    await server.endpoint(),
    await server.socksArguments(),
  );
  assert.equal((await readAll(stream)).length, 0);
  stream.destroy();
});

test('an ORPort that refuses: the client is closed, and the log blames the ORPort', async (t) => {
  const { port } = await closedPort();
  const server = startManaged(
    t,
    serverEnv(temporaryDirectory(t), { TOR_PT_ORPORT: `127.0.0.1:${port}` }),
  );
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  const stream = await socksConnect(
    await client.endpoint(),
    await server.endpoint(),
    await server.socksArguments(),
  );
  assert.equal((await readAll(stream)).length, 0);
  stream.destroy();
  await server.line(/^LOG SEVERITY=warning MESSAGE="rot: cannot forward .*ECONNREFUSED.*"$/);
});

test('an ORPort that closes early: what it said still arrives', async (t) => {
  const { connect } = await startPair(t, (socket) => socket.end('no'));
  assert.equal((await readAll(await connect())).toString(), 'no');
});

test('an ORPort that accepts and hangs holds nothing up but its own connection', async (t) => {
  let first = true;
  const { connect } = await startPair(t, (socket) => {
    if (!first) echo(socket);
    first = false;
  });
  const hanging = await connect();
  hanging.write('anyone?');
  const working = await connect();
  working.end('yes');
  assert.equal((await readAll(working)).toString(), 'yes');
  hanging.destroy();
});
