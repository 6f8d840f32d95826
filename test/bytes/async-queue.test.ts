import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AsyncQueue } from '../../src/bytes/async-queue.ts';

const item = (value: number) => ({ done: false, value });
const END = { done: true, value: undefined };

describe('an async queue', () => {
  test('hands each item out once, in order, to whoever takes before and after it comes', async () => {
    const queue = new AsyncQueue<number>(10);
    const early = [queue.take(), queue.take()];
    for (const value of [1, 2, 3, 4]) assert.ok(queue.push(value));
    assert.equal(queue.length, 2);
    const late = [queue.take(), queue.take()];
    assert.deepEqual(await Promise.all([...early, ...late]), [1, 2, 3, 4].map(item));
    assert.equal(queue.length, 0);
  });

  test('refuses what it has no room for, keeps the oldest, and has room again once some are taken', async () => {
    const queue = new AsyncQueue<number>(2);
    assert.deepEqual(
      [1, 2, 3].map((value) => queue.push(value)),
      [true, true, false],
    );
    assert.deepEqual(await queue.take(), item(1));
    assert.ok(queue.push(4));
    assert.deepEqual(await Promise.all([queue.take(), queue.take()]), [item(2), item(4)]);
    const waiting = queue.take();
    assert.ok(queue.push(5));
    assert.deepEqual(await waiting, item(5));
  });

  test('is read to its end after the end, and then says how it ended', async () => {
    const [lost, closed] = [new AsyncQueue<number>(1), new AsyncQueue<number>(1)];
    const reason = new Error('gone');
    for (const [queue, error] of [
      [lost, reason],
      [closed, undefined],
    ] as const) {
      queue.push(1);
      queue.finish(error);
      assert.deepEqual(await queue.take(), item(1));
    }
    await assert.rejects(lost.take(), reason);
    assert.deepEqual(await closed.take(), END);
  });

  test('settles whoever waits when it ends', async () => {
    const [lost, closed] = [new AsyncQueue<number>(1), new AsyncQueue<number>(1)];
    const reason = new Error('gone');
    const rejected = assert.rejects(lost.take(), reason);
    const ended = closed.take();
    lost.finish(reason);
    closed.finish();
    await rejected;
    assert.deepEqual(await ended, END);
  });

  test('gives nothing to whoever has left', async () => {
    const queue = new AsyncQueue<number>(1);
    const leaving = new AbortController();
    const left = assert.rejects(queue.take(leaving.signal), { message: 'no patience' });
    const waiting = queue.take(new AbortController().signal);
    leaving.abort(new Error('no patience'));
    await left;
    queue.push(1);
    assert.deepEqual(await waiting, item(1));
    queue.push(2);
    await assert.rejects(queue.take(leaving.signal), { message: 'no patience' });
    assert.deepEqual(await queue.take(), item(2));
  });
});
