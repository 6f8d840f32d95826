import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemTimers } from '../src/time.ts';

const MONTH_MS = 30 * 86_400_000;

describe('systemTimers', () => {
  test('wait for longer than the event loop can', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    // As the event loop does it: what has no room in 31 bits is no time at all.
    const { setTimeout: mocked } = globalThis;
    t.mock.method(globalThis, 'setTimeout', (callback: () => void, delayMs: number) =>
      mocked(callback, delayMs < 2 ** 31 ? delayMs : 1),
    );
    let calls = 0;
    systemTimers.after(MONTH_MS, () => (calls += 1));
    t.mock.timers.tick(2 ** 31 - 1);
    t.mock.timers.tick(MONTH_MS - 2 ** 31);
    assert.equal(calls, 0);
    t.mock.timers.tick(1);
    assert.equal(calls, 1);
  });

  test('are cancelled in their second month as well', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const cancel = systemTimers.after(MONTH_MS, () => assert.fail('was cancelled'));
    t.mock.timers.tick(2 ** 31 - 1);
    cancel();
    t.mock.timers.tick(MONTH_MS);
  });

  test('of a month leave a shorter one first', async () => {
    const cancel = systemTimers.after(MONTH_MS, () => assert.fail('a month is over'));
    await new Promise<void>((resolve) => systemTimers.after(20, resolve));
    cancel();
  });
});
