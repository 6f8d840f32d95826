import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EventHub } from '../../src/tor-control/event-hub.ts';
import { limits } from '../../src/limits.ts';

const MAX = limits.torControlEvents;

describe('events', () => {
  test('go to every reader and listener from the moment it began, until it left', async () => {
    const hub = new EventHub<number>();
    const heard: number[] = [];
    hub.emit(0);
    const stop = hub.subscribe((event) => heard.push(event));
    const early = hub.events();
    hub.emit(1);
    const late = hub.events();
    hub.emit(2);
    stop();
    hub.emit(3);
    assert.deepEqual(heard, [1, 2]);
    const read: unknown[] = [];
    for await (const event of early) if (read.push(event) === 2) break;
    assert.deepEqual(read, [1, 2]);
    hub.emit(4);
    assert.deepEqual(await early.next(), { done: true, value: undefined });
    const seen = [await late.next(), await late.next(), await late.next()];
    assert.deepEqual(
      seen.map(({ value }) => value),
      [2, 3, 4],
    );
  });

  test('wait for those who ask before they come, in order', async () => {
    const hub = new EventHub<number>();
    const reader = hub.events();
    const asked = [reader.next(), reader.next(), reader.next()];
    hub.emit(1);
    hub.emit(2);
    hub.finish(undefined);
    assert.deepEqual(await Promise.all(asked), [
      { done: false, value: 1 },
      { done: false, value: 2 },
      { done: true, value: undefined },
    ]);
  });

  test('a reader that is too slow keeps the oldest, is told how many are missing, and goes on', async () => {
    const hub = new EventHub<number>();
    const slow = hub.events();
    for (let event = 0; event < MAX + 10; event += 1) hub.emit(event);
    for (let event = 0; event < MAX; event += 1) {
      assert.deepEqual(await slow.next(), { done: false, value: event });
      // Room there is again, but a gap must not stand where nobody sees it.
      if (event === 5) hub.emit(-1);
    }
    assert.deepEqual(await slow.next(), { done: false, value: { type: 'lost', count: 11 } });
    hub.emit(-2);
    assert.deepEqual(await slow.next(), { done: false, value: -2 });
  });

  test('one slow reader costs the others nothing', async () => {
    const hub = new EventHub<number>();
    const slow = hub.events();
    const quick = hub.events();
    for (let event = 0; event < 2 * MAX; event += 1) {
      hub.emit(event);
      assert.equal((await quick.next()).value, event);
    }
    assert.equal((await slow.next()).value, 0);
  });

  test('what waits is read to its end after the end, with what was lost, and then the error once', async () => {
    const hub = new EventHub<number>();
    const reader = hub.events();
    for (let event = 0; event <= MAX; event += 1) hub.emit(event);
    const reason = new Error('gone');
    hub.finish(reason);
    for (let event = 0; event < MAX; event += 1) assert.equal((await reader.next()).value, event);
    assert.deepEqual((await reader.next()).value, { type: 'lost', count: 1 });
    await assert.rejects(reader.next(), reason);
    assert.deepEqual(await reader.next(), { done: true, value: undefined });
    await assert.rejects(hub.events().next(), reason);
  });

  test('a reader that leaves settles what it asked for', async () => {
    const hub = new EventHub<number>();
    const reader = hub.events();
    const asked = reader.next();
    await reader.return();
    assert.deepEqual(await asked, { done: true, value: undefined });
  });
});
