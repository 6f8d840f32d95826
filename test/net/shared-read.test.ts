import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { discardUntilClosed } from '../../src/net/rejected.ts';
import { type OnRead, readIntoShared } from '../../src/net/shared-read.ts';
import { socketPair } from '../support/sockets.ts';

/** Has a socket read into the shared buffer. @returns what has come so far, and the buffers it lay in */
function readShared(socket: Socket) {
  const read = { text: '', buffers: new Set<Uint8Array>() };
  const onRead: OnRead = (length, buffer) => {
    read.text += Buffer.from(buffer.subarray(0, length)).toString();
    read.buffers.add(buffer);
    socket.emit('test:read');
    return true;
  };
  assert.equal(readIntoShared(socket, onRead), true);
  return read;
}

for (const [what, index] of [
  ['a dialled', 0],
  ['an accepted', 1],
] as const) {
  test(`${what} socket reads into the buffer that all share, behind what it has read before`, async (t) => {
    const pair = await socketPair(t);
    const [socket, peer] = [pair[index], pair[1 - index]!];
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    peer.write('first');
    await once(socket, 'data');
    const read = readShared(socket);
    for (const text of ['second', ' third']) {
      peer.write(text);
      await once(socket, 'test:read');
    }
    peer.end();
    await once(socket, 'end');
    assert.equal(Buffer.concat(chunks).toString(), 'first');
    assert.equal(read.text, 'second third');
    assert.equal(read.buffers.size, 1);
    assert.equal(socket.bytesRead, 17);
  });
}

test('a socket that shares the buffer hears of a reset, and does not read while it is paused', async (t) => {
  const [near, far] = await socketPair(t);
  far.resume();
  const read = readShared(far);
  near.write('heard');
  await once(far, 'test:read');
  far.pause();
  near.write(' later');
  far.resume();
  await once(far, 'test:read');
  assert.equal(read.text, 'heard later');
  near.resetAndDestroy();
  const [error] = (await once(far, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('a socket that is closed cannot share the buffer', async (t) => {
  const [near] = await socketPair(t);
  near.destroy();
  assert.equal(
    readIntoShared(near, () => true),
    false,
  );
});

test('what a rejected stranger pours takes no memory of its own', async (t) => {
  const [near, far] = await socketPair(t);
  // Discarded as well, but made for it.
  far.on('data', () => assert.fail('a buffer for each read'));
  discardUntilClosed(far, 60_000);
  near.end(Buffer.alloc(1 << 20));
  await once(near.resume(), 'close');
  assert.equal(far.bytesRead, 1 << 20);
});
