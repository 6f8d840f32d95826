import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limits } from '../../src/limits.ts';
import { LineSplitter } from '../../src/pt/line-splitter.ts';
import { holds } from '../support/properties.ts';

/** What comes out when a text arrives in pieces of these sizes. */
function split(splitter: LineSplitter, text: string, cuts: readonly number[] = []): string[] {
  const bytes = Buffer.from(text);
  const edges = [
    0,
    ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b),
    bytes.length,
  ];
  return edges
    .slice(1)
    .flatMap((end, index) => splitter.push(bytes.subarray(edges[index]!, end)))
    .map((event) =>
      event.kind === 'line' ? Buffer.from(event.bytes).toString() : `over ${event.maxBytes}`,
    );
}

test('[PT-3.3-01] lines end at NL, and a tail without one never comes out', () => {
  assert.deepEqual(split(new LineSplitter(), 'VERSION 1\n\nCMETHODS DONE\nCMETH'), [
    'VERSION 1',
    '',
    'CMETHODS DONE',
  ]);
  assert.deepEqual(split(new LineSplitter(), 'VERSION 1'), []);
});

test('the way a text is cut into chunks makes no difference', () => {
  const text = 'VERSION 1\nénough\n12345678\n123456789\n\nx\r\n0123456789abcdef\nlast\ntail';
  const whole = split(new LineSplitter(8), text);
  assert.deepEqual(
    whole,
    ['over 8', 'énough', '12345678', 'over 8', '', 'x\r', 'over 8', 'last'].map((line) => line),
  );
  for (let cut = 0; cut <= Buffer.byteLength(text); cut += 1) {
    assert.deepEqual(split(new LineSplitter(8), text, [cut]), whole);
  }
  assert.deepEqual(split(new LineSplitter(8), text, Array.from(Buffer.from(text).keys())), whole);
});

test('an over-long line is reported once, at once, and skipped', () => {
  const splitter = new LineSplitter();
  const chunk = Buffer.alloc(16_384, 'x');
  const events = Array.from({ length: 64 }, () => splitter.push(chunk));
  const first = events.findIndex((list) => list.length > 0);
  assert.equal(
    first,
    Math.floor(limits.ptLineBytes / chunk.length),
    'as soon as the limit is passed',
  );
  assert.deepEqual(events.flat(), [{ kind: 'over-long', maxBytes: limits.ptLineBytes }]);
  assert.deepEqual(split(splitter, 'more\nVERSION 1\n'), ['VERSION 1']);
});

test('a line of exactly the limit comes out whole', () => {
  const line = 'x'.repeat(limits.ptLineBytes);
  assert.deepEqual(split(new LineSplitter(), `${line}\n${line}y\nz\n`), [
    line,
    `over ${limits.ptLineBytes}`,
    'z',
  ]);
});

test('lines are owned: later chunks do not change them', () => {
  const splitter = new LineSplitter();
  const chunk = Buffer.from('first\n');
  const [event] = splitter.push(chunk);
  chunk.fill('z');
  splitter.push(Buffer.from('other\n'));
  assert.equal(event?.kind === 'line' && Buffer.from(event.bytes).toString(), 'first');
});

test('random cuts agree with a naive twin', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 60 });
  holds(
    fc.property(texts, fc.array(fc.nat(60), { maxLength: 6 }), (text, cuts) => {
      const naive = text.split('\n').map((line) => (line.length > 5 ? 'over 5' : line));
      const tail = naive.pop()!;
      const expected = tail === 'over 5' ? [...naive, tail] : naive;
      assert.deepEqual(split(new LineSplitter(5), text, cuts), expected);
    }),
    500,
  );
});
