import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Recurring } from '../../src/bytes/recurring.ts';

describe('what comes, goes and comes again', () => {
  test('is there for all who wait, and for those who ask while it is there', async () => {
    const recurring = new Recurring<string>();
    const early = [recurring.next(), recurring.next()];
    recurring.set('a');
    assert.deepEqual(await Promise.all([...early, recurring.next()]), ['a', 'a', 'a']);
    recurring.clear();
    assert.equal(recurring.current, undefined);
    const next = recurring.next();
    recurring.set('b');
    assert.equal(await next, 'b');
  });

  test('rejects whoever waits, and whoever asks later, once it does not come again', async () => {
    const recurring = new Recurring<string>();
    const reason = new Error('over');
    const waiting = assert.rejects(recurring.next(), reason);
    recurring.finish(reason);
    await waiting;
    await assert.rejects(recurring.next(), reason);
  });

  test('lets go of whoever leaves', async () => {
    const recurring = new Recurring<string>();
    const leaving = new AbortController();
    const left = assert.rejects(recurring.next(leaving.signal), { message: 'no patience' });
    leaving.abort(new Error('no patience'));
    await left;
    await assert.rejects(recurring.next(leaving.signal), { message: 'no patience' });
  });
});
