/** Work that goes on beside other work, and what becomes of its failures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { begun } from '../src/parallel.ts';

test('work that was begun and that nobody awaits any more fails without a word', async (t) => {
  const unheard: unknown[] = [];
  const listen = (reason: unknown): void => void unheard.push(reason);
  process.on('unhandledRejection', listen);
  t.after(() => process.off('unhandledRejection', listen));
  const work = begun(Promise.reject(new Error('no')));
  // By then Node has told of every rejection that nobody has heard.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unheard, []);
  await assert.rejects(work, { message: 'no' });
});
