/** Lines that a peer can cause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogLimiter } from '../src/log-limiter.ts';

test('the first line of a kind is written at once, and what comes behind it is a count a minute', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const limiter = new LogLimiter();
  const lines: string[] = [];
  const take = (kind: string, text: string): void =>
    limiter.take(kind, text, (line) => lines.push(line));
  const newLines = (): string[] => lines.splice(0);

  for (let number = 0; number < 1000; number += 1) take('a', `a ${number}`);
  take('b', 'b');
  assert.deepEqual(newLines(), ['a 0', 'b']);
  t.mock.timers.tick(60_000);
  assert.deepEqual(newLines(), ['a 999 [999 more like it within a minute]']);
  // Still within a minute of the last that was told.
  take('a', 'a again');
  take('b', 'b again');
  assert.deepEqual(newLines(), ['b again']);
  t.mock.timers.tick(60_000);
  assert.deepEqual(newLines(), ['a again [1 more like it within a minute]']);
  // A quiet minute, and it is news again.
  t.mock.timers.tick(60_000);
  take('a', 'a at last');
  assert.deepEqual(newLines(), ['a at last']);
});

test('however many kinds there are, the lines are few, and at the end every count is told', () => {
  const limiter = new LogLimiter();
  const lines: string[] = [];
  for (let number = 0; number < 10_000; number += 1) {
    limiter.take(`kind ${number}`, `line ${number}`, (line) => lines.push(line));
  }
  assert.equal(lines.length, 65);
  limiter.flush();
  assert.equal(lines.at(-1), 'line 9999 [9935 more like it within a minute]');
  assert.equal(lines.length, 66);
  limiter.flush();
  assert.equal(lines.length, 66);
  limiter.take('kind 0', 'again', (line) => lines.push(line));
  assert.equal(lines.at(-1), 'again');
});
