/** Step 7: all the ways in which a proxy ends, in this process. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { PassThrough, Writable, type Duplex } from 'node:stream';
import { mock, test, type TestContext } from 'node:test';
import { limits } from '../../src/limits.ts';
import {
  clientEnv,
  Managed,
  serverEnv,
  startManaged,
  temporaryDirectory,
} from '../support/managed.ts';
import { dial, echo, listen, readAll, readBytes, socksConnect } from '../support/sockets.ts';

async function startPair(t: TestContext): Promise<{ client: Managed; server: Managed }> {
  const app = await listen(t, echo);
  const server = startManaged(t, serverEnv(temporaryDirectory(t), { TOR_PT_ORPORT: app.text }));
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  await Promise.all([client.line(/DONE$/), server.line(/DONE$/)]);
  return { client, server };
}

async function connect(client: Managed, server: Managed): ReturnType<typeof socksConnect> {
  return socksConnect(
    await client.endpoint(),
    await server.endpoint(),
    await server.socksArguments(),
  );
}

/** Resolves when the other end has closed, in whatever manner. */
function closedByPeer(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream
      .once('end', resolve)
      .once('error', () => resolve())
      .resume();
  });
}

test('[PT-3-12] [PT-3.2.1-15] [PT-3.4-06] stdin closed in mid-transfer: listeners and connections closed, exit 0', async (t) => {
  const { client, server } = await startPair(t);
  const stream = await connect(client, server);
  stream.write('x');
  await readBytes(stream, 1);
  const closed = readAll(stream);
  client.stdin.end();
  assert.equal(await client.exitCode, 0);
  await closed;
  await assert.rejects(dial(await client.endpoint()), { code: 'ERR_DIAL_REFUSED' });
  server.stdin.end();
  assert.equal(await server.exitCode, 0);
  await assert.rejects(dial(await server.endpoint()), { code: 'ERR_DIAL_REFUSED' });
});

test('[PT-3.2.1-15] bytes on stdin mean nothing; its end, also an early one, does', async (t) => {
  const managed = startManaged(t, clientEnv(temporaryDirectory(t)));
  managed.stdin.write('anything\n'.repeat(10_000));
  await managed.line(/^CMETHODS DONE$/);
  (await dial(await managed.endpoint())).destroy();
  managed.stdin.end();
  assert.equal(await managed.exitCode, 0);
  const ended = new PassThrough();
  ended.end();
  const early = new Managed(clientEnv(temporaryDirectory(t)), { stdin: ended });
  assert.equal(await early.exitCode, 0);
});

test('[PT-3.2.1-14] unless the variable is exactly 1, a closed stdin is nothing', async (t) => {
  for (const value of [undefined, '', '0', 'true', '01', ' 1']) {
    const managed = startManaged(
      t,
      clientEnv(temporaryDirectory(t), { TOR_PT_EXIT_ON_STDIN_CLOSE: value }),
    );
    managed.stdin.end().destroy();
    await managed.line(/^CMETHODS DONE$/);
    // Still there, a whole connection later.
    await assert.rejects(socksConnect(await managed.endpoint(), { host: '::1', port: 9 }, 'k=1'));
    assert.ok(!managed.output.includes('ends'));
  }
});

test('[PT-3-12] [PT-3.4-07] SIGTERM ends at once, idle or with connections in every state', async (t) => {
  const { client, server } = await startPair(t);
  const carrying = await connect(client, server);
  const silent = await dial(await client.endpoint());
  const unproven = await dial(await server.endpoint());
  unproven.write('half a hello');
  const closed = Promise.all([carrying, silent, unproven].map(closedByPeer));
  assert.equal(await client.stop(), 0);
  assert.equal(await server.stop(), 0);
  await closed;
});

test('[PT-3.4-07] SIGTERM during the start', async (t) => {
  for (const env of [clientEnv(temporaryDirectory(t)), serverEnv(temporaryDirectory(t))]) {
    assert.equal(await new Managed(env).stop(), 0);
  }
  const now = new AbortController();
  now.abort();
  const managed = new Managed(clientEnv(temporaryDirectory(t)), { now: now.signal });
  assert.equal(await managed.exitCode, 0);
});

test('the first SIGINT drains: no new connections, the one that stands goes on and its end is the end', async (t) => {
  const { client, server } = await startPair(t);
  const stream = await connect(client, server);
  client.drain.abort();
  server.drain.abort();
  await client.line(/^LOG SEVERITY=notice MESSAGE="no new connections/);
  await server.line(/^LOG SEVERITY=notice MESSAGE="no new connections/);
  await assert.rejects(dial(await client.endpoint()), { code: 'ERR_DIAL_REFUSED' });
  await assert.rejects(dial(await server.endpoint()), { code: 'ERR_DIAL_REFUSED' });
  stream.write('still there');
  assert.equal((await readBytes(stream, 11)).toString(), 'still there');
  stream.end();
  await readAll(stream);
  assert.deepEqual(await Promise.all([client.exitCode, server.exitCode]), [0, 0]);
});

test('a drain waits for a connection that is still being made', async (t) => {
  let accept: ((socket: Socket) => void) | undefined;
  const accepted = new Promise<Socket>((resolve) => (accept = resolve));
  const bridge = await listen(t, (socket) => accept!(socket));
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  const connecting = socksConnect(await client.endpoint(), bridge.endpoint, 'key=1');
  const wire = await accepted;
  client.drain.abort();
  await client.line(/^LOG SEVERITY=notice MESSAGE="no new connections/);
  wire.write('PL');
  const stream = await connecting;
  stream.end();
  wire.end();
  await readAll(stream);
  assert.equal(await client.exitCode, 0);
});

test('a drain does not wait for clients that say nothing; the second SIGINT does not wait for anyone', async (t) => {
  const { client, server } = await startPair(t);
  const silent = await dial(await client.endpoint());
  const unproven = await dial(await server.endpoint());
  const closed = Promise.all([silent, unproven].map(readAll));
  client.drain.abort();
  server.drain.abort();
  assert.deepEqual(await Promise.all([client.exitCode, server.exitCode]), [0, 0]);
  await closed;

  const again = await startPair(t);
  const stream = await connect(again.client, again.server);
  again.client.drain.abort();
  await again.client.line(/^LOG SEVERITY=notice MESSAGE="no new connections/);
  const ended = readAll(stream);
  assert.equal(await again.client.stop(), 0);
  await ended;
});

test('[PT-3.4-08] a parent that is another one than at the start has died', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.after(() => mock.timers.reset());
  // Without a word about stdin: this applies always.
  const env = clientEnv(temporaryDirectory(t), { TOR_PT_EXIT_ON_STDIN_CLOSE: undefined });
  const managed = startManaged(t, env);
  await managed.line(/^CMETHODS DONE$/);
  mock.timers.tick(10 * limits.parentPollMs);
  (await dial(await managed.endpoint())).destroy();
  managed.parentPid = 1;
  mock.timers.tick(limits.parentPollMs);
  assert.equal(await managed.exitCode, 0);
  assert.ok(limits.parentPollMs < 2000);
});

test('a stdout that nobody reads any more is a dead parent', async (t) => {
  const broken = new Writable({
    write(_chunk, _encoding, callback) {
      callback(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    },
  });
  const managed = new Managed(clientEnv(temporaryDirectory(t)), { stdout: broken });
  assert.equal(await managed.exitCode, 0);
  const failing = new Managed({}, { stdout: new Writable({ write: broken._write.bind(broken) }) });
  assert.equal(await failing.exitCode, 1);
});

test('the end waits until every line is out', async (t) => {
  const written: string[] = [];
  const held: (() => void)[] = [];
  const slow = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      written.push(chunk.toString());
      held.push(callback);
      process.nextTick(() => slow.emit('held'));
    },
  });
  let exited = false;
  const env = { ...clientEnv(temporaryDirectory(t)), TOR_PT_STATE_LOCATION: 'relative' };
  const managed = new Managed(env, { stdout: slow });
  void managed.exitCode.then(() => (exited = true));
  for (let line = 0; line < 2; line += 1) {
    if (held.length === 0) await once(slow, 'held');
    assert.ok(!exited);
    held.shift()!();
  }
  if (held.length === 0) await once(slow, 'held');
  held.shift()!();
  assert.equal(await managed.exitCode, 1);
  assert.match(written.join(''), /^VERSION 1\nENV-ERROR .*\n$/);
});
