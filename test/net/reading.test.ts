import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { isBeingRead, readLent, readOwned } from '../../src/net/reading.ts';
import { socketPair } from '../support/sockets.ts';

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn();
}

test('all sockets, dialled and accepted, are read into one buffer', async (t) => {
  const [near, far] = await socketPair(t);
  const buffers = new Set<ArrayBufferLike>();
  const texts = ['', ''];
  for (const [index, socket] of [near, far].entries()) {
    readLent(socket, (bytes) => {
      buffers.add(bytes.buffer);
      texts[index] += bytes.toString();
    }).resume();
  }
  near.write('to the far end');
  far.write('to the near end');
  await until(() => texts[0] === 'to the near end' && texts[1] === 'to the far end');
  assert.equal(buffers.size, 1, 'this Node has other fields than we know');
});

test('what a socket has read before comes first, and its end behind all', async (t) => {
  const [near, far] = await socketPair(t);
  far.write('head, ');
  await once(near, 'readable');
  near.unshift('leftover of the ');
  let text = '';
  const reading = readLent(near, (bytes) => (text += bytes.toString()));
  assert.equal(text, '', 'it begins paused');
  reading.resume();
  assert.equal(text, 'leftover of the head, ');
  far.end('body');
  await once(near, 'end');
  assert.equal(text, 'leftover of the head, body');
});

test('a paused socket is not read, not even by a resume of the same tick', async (t) => {
  const [near, far] = await socketPair(t);
  let count = 0;
  const reading = readLent(near, (bytes) => {
    count += bytes.length;
    reading.pause();
  });
  reading.resume();
  const most = 1 << 20;
  far.write(Buffer.alloc(most));
  await until(() => count > 0);
  const first = count;
  reading.resume();
  reading.pause();
  assert.ok(!isBeingRead(near));
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  assert.equal(count, first);
  while (count < most) {
    reading.resume();
    await nextTurn();
  }
});

test('who leaves hears nothing more, and the socket is read on', async (t) => {
  const [near, far] = await socketPair(t);
  let heard = 0;
  const reading = readLent(near, (bytes) => {
    heard += bytes.length;
    reading.discard();
  });
  reading.resume();
  for (let sent = 0; sent < 64; sent += 1) {
    if (!far.write(Buffer.alloc(65_536))) await once(far, 'drain');
  }
  far.end();
  await once(near, 'end');
  assert.ok(heard <= 131_072);
  assert.equal(near.bytesRead, 64 * 65_536);
});

test('where a stream has no such inside, and for who keeps what comes, it is read by data', async (t) => {
  const [near, far] = await socketPair(t);
  const strange = Object.setPrototypeOf(near, Object.create(Object.getPrototypeOf(near))) as Socket;
  const [a, b] = duplexPair();
  const kept: Buffer[] = [];
  const readings = [
    readLent(strange, (bytes) => kept.push(bytes)),
    readLent(a, (bytes) => kept.push(bytes)),
    readOwned(far, (bytes) => kept.push(bytes)),
  ];
  for (const reading of readings) reading.resume();
  for (const stream of [far, b, near]) stream.write('kept');
  await until(() => kept.length === 3);
  assert.deepEqual(kept.map(String), ['kept', 'kept', 'kept']);
  assert.ok(isBeingRead(strange));
  for (const reading of readings) reading.pause();
  for (const stream of [near, far, a]) assert.ok(stream.isPaused());
});
