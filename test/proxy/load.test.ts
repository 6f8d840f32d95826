/** Many connections, and peers that do not read. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { clientEnv, serverEnv, startManaged, temporaryDirectory } from '../support/managed.ts';
import { echo, listen, readAll, readBytes, socksConnect } from '../support/sockets.ts';

async function startPair(
  t: TestContext,
  onConnection: (socket: Socket) => void,
): Promise<() => ReturnType<typeof socksConnect>> {
  const app = await listen(t, onConnection);
  const server = startManaged(t, serverEnv(temporaryDirectory(t), { TOR_PT_ORPORT: app.text }));
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  const proxy = await client.endpoint();
  const target = await server.endpoint();
  const args = await server.socksArguments();
  return () => socksConnect(proxy, target, args);
}

test('2,000 simultaneous connections, each with its own bytes', async (t) => {
  const connect = await startPair(t, echo);
  const streams = await Promise.all(Array.from({ length: 2000 }, connect));
  await Promise.all(
    streams.map(async (stream, index) => {
      const text = `connection ${index}`;
      stream.end(text);
      assert.equal((await readAll(stream)).toString(), text);
    }),
  );
});

test('an application that does not read stops its sender, and loses nothing when it goes on', async (t) => {
  let accepted: ((socket: Socket) => void) | undefined;
  const application = new Promise<Socket>((resolve) => (accepted = resolve));
  const connect = await startPair(t, (socket) => accepted!(socket.pause()));
  const stream = await connect();
  const offered = 256 << 20;
  const chunk = Buffer.alloc(1 << 20, 'payload ');
  let sent = 0;
  let stalled = false;
  const pump = (): void => {
    while (!stalled && sent < offered) {
      sent += chunk.length;
      if (!stream.write(chunk)) return void stream.once('drain', pump);
    }
  };
  pump();
  // Quiet for a while: all buffers on the way are full.
  for (let before = -1; before !== sent;) {
    before = sent;
    await delay(100);
  }
  stalled = true;
  // Six sockets' kernel buffers and our own stand between; a proxy without back-pressure would have
  // taken everything.
  assert.ok(sent < offered / 4, `${sent} bytes were taken`);
  const socket = await application;
  let received = 0;
  socket.on('data', (bytes: Buffer) => void (received += bytes.length)).resume();
  stream.end();
  await once(socket, 'end');
  assert.equal(received, sent);
  socket.end();
  stream.destroy();
});

test('a connection that is stuck leaves the others alone', async (t) => {
  let first = true;
  const connect = await startPair(t, (socket) => {
    if (first) socket.pause();
    else echo(socket);
    first = false;
  });
  const stuck = await connect();
  stuck.on('error', () => {}).write(Buffer.alloc(32 << 20));
  const other = await connect();
  for (let round = 0; round < 20; round += 1) {
    other.write('ping');
    assert.equal((await readBytes(other, 4)).toString(), 'ping');
  }
  stuck.destroy();
  other.destroy();
});
