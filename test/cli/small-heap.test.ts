import '../../src/cli/small-heap.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';

test('the young generation does not grow with what is allocated', () => {
  // Enough that survives its first collections to make V8 double its semi-spaces time and again.
  let kept: object[] = [];
  for (let count = 0; count < 1_000_000; count += 1) {
    kept.push({ count });
    if (kept.length > 100_000) kept = [];
  }
  const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  assert.ok(young!.space_size <= 8 * 2 ** 20, `${young!.space_size} bytes`);
});

test('a few bytes that are kept keep little of Node’s pool', () => {
  // The pool that Node began with is used up first.
  Array.from({ length: 100 }, () => Buffer.allocUnsafe(2000));
  const { byteLength } = Buffer.allocUnsafe(1).buffer;
  assert.ok(byteLength < 9000, `${byteLength} bytes`);
});
