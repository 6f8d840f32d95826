import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { writeAway } from '../../src/net/write-away.ts';
import { readBytes, socketPair } from '../support/sockets.ts';

const KIB = 1024;

test('memory goes back once the system has the bytes, and they arrive', async (t) => {
  const [near, far] = await socketPair(t);
  const bytes = randomBytes(32 * KIB);
  const copy = Buffer.from(bytes);
  writeAway(near, bytes);
  assert.equal(near.writableLength, 0);
  assert.equal(bytes.length, 0, 'this Node does not let memory go');
  assert.deepEqual(await readBytes(far, copy.length), copy);
});

test('what waits to be sent stays as it is until it has gone', async (t) => {
  const [near, far] = await socketPair(t);
  far.pause();
  const written: Buffer[] = [];
  do {
    const bytes = randomBytes(64 * KIB);
    written.push(Buffer.from(bytes));
    writeAway(near, bytes);
    assert.equal(bytes.length > 0, near.writableLength > 0);
  } while (near.writableLength === 0);
  // Behind what waits nothing goes at once.
  const last = randomBytes(64 * KIB);
  written.push(Buffer.from(last));
  writeAway(near, last);
  assert.equal(last.length, 64 * KIB);
  const all = Buffer.concat(written);
  assert.ok((await readBytes(far, all.length)).equals(all));
});

test('small bytes, slices of a pool and parts of something larger stay', async (t) => {
  const [near] = await socketPair(t);
  const larger = randomBytes(64 * KIB);
  for (const bytes of [Buffer.from('small'), larger.subarray(0, 16 * KIB)]) {
    const { length } = bytes;
    writeAway(near, bytes);
    assert.equal(bytes.length, length);
  }
  assert.equal(larger.length, 64 * KIB);
});

test('what another stream was given is that stream’s to keep', async () => {
  const stream = new PassThrough();
  const bytes = randomBytes(32 * KIB);
  stream.resume();
  writeAway(stream, bytes);
  assert.equal(bytes.length, 32 * KIB);
});
