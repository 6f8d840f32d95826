/** A client that sends a byte in each frame, the rest padding, and good clients beside it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { startProbedServer } from '../support/probed-server.ts';
import { readBytes } from '../support/sockets.ts';

const HOSTILE = 10;
const FRAMES = 20_000;

/** What a connection that nobody reads may cost. */
const MOST_BYTES = 1 << 20;

/** `e` makes it an echo, anything else stops it. */
function serve(socket: Socket): void {
  socket.once('data', (first: Buffer) => {
    socket.write(first.subarray(0, 1));
    if (first[0] === 0x65) socket.on('data', (bytes: Buffer) => void socket.write(bytes));
    else socket.pause();
  });
}

/** Each byte goes out by itself, padded. */
async function sendTinyFrames(stream: Duplex): Promise<void> {
  for (let frame = 0; frame < FRAMES; frame += 1) {
    if (!stream.write('x')) await once(stream, 'drain');
    // The good client is in this process as well.
    if (frame % 50 === 0) await setImmediate();
  }
}

for (const [what, firstByte] of [
  ['an application that reads nothing', 's'],
  ['an echo', 'e'],
] as const) {
  test(`${HOSTILE} clients send ${FRAMES} frames of one byte each to ${what}: others are served, and it holds little`, async (t) => {
    const { process, connect } = await startProbedServer(t, serve);
    const good = await connect('e');
    const before = await process.holdings();
    const hostile = await Promise.all(Array.from({ length: HOSTILE }, () => connect(firstByte)));
    let isOver = false;
    const attack = Promise.all(
      hostile.map(({ stream }) => {
        if (firstByte === 'e') stream.resume();
        return sendTinyFrames(stream);
      }),
    ).finally(() => (isOver = true));
    let served = 0;
    let mostMemory = 0;
    while (!isOver) {
      good.stream.write('ping');
      assert.equal((await readBytes(good.stream, 4)).toString(), 'ping');
      served += 1;
      if (served % 20 === 0) {
        mostMemory = Math.max(mostMemory, (await process.holdings()).memoryBytes);
      }
    }
    await attack;
    const during = await process.holdings();
    mostMemory = Math.max(mostMemory, during.memoryBytes);
    t.diagnostic(`${served} round trips; ${JSON.stringify({ before, during, mostMemory })}`);
    assert.ok(mostMemory < before.memoryBytes + HOSTILE * MOST_BYTES);
    for (const { wire } of hostile) wire.resetAndDestroy();
    t.diagnostic(JSON.stringify({ after: await process.comesBackTo(before, 4e6) }));
  });
}
