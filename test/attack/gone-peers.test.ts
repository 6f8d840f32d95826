/** Clients that go without a proper end while nobody reads from them, and a good client beside them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { GoodClient } from '../support/good-client.ts';
import { startProbedServer } from '../support/probed-server.ts';
import { echo } from '../support/sockets.ts';

/** Echoes one byte, then neither reads nor ends; but for a good client, whose byte it is. */
function hold(socket: Socket): void {
  socket.once('data', (bytes: Buffer) => {
    socket.pause().write(bytes.subarray(0, 1));
    if (bytes.toString() === GOOD) echo(socket);
  });
}

/** What a good client says first. */
const GOOD = 'g';

const COUNT = 50;

test('resets that nobody reads of are noticed: behind an end, and behind bytes that nobody takes', async (t) => {
  const { process, connect } = await startProbedServer(t, hold);
  const good = await GoodClient.start(async () => (await connect(GOOD)).stream);
  const before = await process.holdings();
  const clients = await Promise.all(Array.from({ length: COUNT }, connect));
  for (const [index, { stream, wire }] of clients.entries()) {
    if (index % 2 === 0) {
      // More than all buffers on the way take.
      for (let sent = 0; sent < 16 << 20; sent += 1 << 20) stream.write(Buffer.alloc(1 << 20));
      await waitUntilStuck(wire);
    } else {
      stream.end();
      await once(wire, 'finish');
    }
  }
  const during = await process.holdings();
  t.diagnostic(JSON.stringify({ before, during }));
  assert.ok(during.files >= before.files + 2 * COUNT, 'all stand');
  for (const { wire } of clients) wire.resetAndDestroy();
  const back = process.comesBackTo(before, 8e6);
  await good.serve();
  t.diagnostic(`${good.report()}; ${JSON.stringify({ after: await back })}`);
});

test('connections that are half closed and move nothing end, however long the target stays', async (t) => {
  const { process, connect } = await startProbedServer(t, hold, { halfClosedMs: 2_000 });
  const good = await GoodClient.start(async () => (await connect(GOOD)).stream);
  const before = await process.holdings();
  const clients = await Promise.all(Array.from({ length: COUNT }, connect));
  const closed = clients.map(({ wire }) => once(wire, 'close'));
  for (const { stream } of clients) stream.resume().end();
  await good.serveDuring(Promise.all(closed));
  t.diagnostic(good.report());
  t.diagnostic(JSON.stringify({ after: await process.comesBackTo(before, 8e6) }));
});

/** Resolves when nothing leaves any more. */
async function waitUntilStuck(wire: Socket): Promise<void> {
  for (let before = -1; before !== wire.bytesWritten - wire.writableLength;) {
    before = wire.bytesWritten - wire.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('an application that resets behind bytes that its client does not read is noticed as well', async (t) => {
  const served: Socket[] = [];
  const { process, connect } = await startProbedServer(t, (socket) => {
    served.push(socket);
    socket.once('data', (bytes: Buffer) => {
      socket.write(bytes.subarray(0, 1));
      if (bytes.toString() === GOOD) echo(socket);
    });
  });
  const good = await GoodClient.start(async () => (await connect(GOOD)).stream);
  const before = await process.holdings();
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect()));
  for (const { wire } of clients) wire.pause();
  await Promise.all(
    served.slice(1).map(async (socket) => {
      // More than all buffers on the way take.
      for (let sent = 0; sent < 16 << 20; sent += 1 << 20) socket.write(Buffer.alloc(1 << 20));
      await waitUntilStuck(socket);
      socket.resetAndDestroy();
    }),
  );
  const back = process.comesBackTo(before, 8e6);
  await good.serve();
  t.diagnostic(`${good.report()}; ${JSON.stringify({ before, after: await back })}`);
});
