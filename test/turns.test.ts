import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { isForLater, waitInLine, workInTurn } from '../src/turns.ts';

const MANY_BYTES = 32_768;

/** A clock that stands still while nobody works. */
function clockByHand(t: TestContext): { workFor: (ms: number) => void; readonly nowMs: number } {
  let nowMs = 1e9;
  t.mock.method(performance, 'now', () => nowMs);
  return {
    workFor: (ms) => void (nowMs += ms),
    get nowMs() {
      return nowMs;
    },
  };
}

test('a turn has a bound, however many come in it, and little things go on', (t) => {
  const clock = clockByHand(t);
  let worked = 0;
  for (let count = 0; count < 100; count += 1) {
    if (isForLater(MANY_BYTES)) continue;
    workInTurn(() => clock.workFor(2));
    worked += 1;
  }
  assert.equal(worked, 4);
  assert.ok(!isForLater(100));
  clock.workFor(2);
  workInTurn(() => {});
  assert.ok(!isForLater(MANY_BYTES), 'the others had their turn meanwhile');
});

test('work within work counts once', (t) => {
  const clock = clockByHand(t);
  clock.workFor(1000);
  let innerMs = 0;
  const outerMs = workInTurn(() => {
    clock.workFor(2);
    innerMs = workInTurn(() => clock.workFor(3));
  });
  assert.deepEqual([innerMs, outerMs], [3, 5]);
  assert.ok(!isForLater(MANY_BYTES));
  workInTurn(() => clock.workFor(3));
  assert.ok(isForLater(MANY_BYTES));
});

test('who waits in line is served in its order, once in a turn, and no turn is long', async (t) => {
  const clock = clockByHand(t);
  const served: number[] = [];
  for (let number = 0; number < 10; number += 1) {
    let left = 3;
    const work = (): void => {
      clock.workFor(1);
      served.push(number);
      left -= 1;
      if (left > 0) waitInLine(work);
    };
    waitInLine(work);
  }
  while (served.length < 30) {
    const startMs = clock.nowMs;
    await setImmediate();
    assert.ok(clock.nowMs - startMs <= 4);
  }
  const inOrder = Array.from({ length: 30 }, (_, index) => index % 10);
  assert.deepEqual(served, inOrder);

  const startMs = clock.nowMs;
  let alone = 0;
  const again = (): void => {
    clock.workFor(1);
    alone += 1;
    if (alone < 3) waitInLine(again);
  };
  waitInLine(again);
  await setImmediate();
  assert.equal(clock.nowMs - startMs, 1, 'one alone has its share, and no more');
});

test('a fault in line costs nobody else its place', async () => {
  const caught = new Promise((resolve) => {
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').once('uncaughtException', (error) => {
      for (const listener of listeners) process.on('uncaughtException', listener);
      resolve(error);
    });
  });
  const fault = new Error('a defect');
  waitInLine(() => {
    throw fault;
  });
  const next = new Promise<void>((resolve) => waitInLine(resolve));
  assert.equal(await caught, fault);
  await next;
});

test('what filled a turn long ago keeps nobody waiting', (t) => {
  const clock = clockByHand(t);
  clock.workFor(1000);
  workInTurn(() => clock.workFor(20));
  assert.ok(isForLater(MANY_BYTES));
  clock.workFor(60_000);
  assert.ok(!isForLater(MANY_BYTES));
});
