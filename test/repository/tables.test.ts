/** The two tables and what hangs on them: nothing in them is dead, and the documents have it all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatErrors, formatLimits, formatOptions } from '../../scripts/reference-pages.ts';
import { errorTable } from '../../src/errors.ts';
import { limitTable } from '../../src/limits.ts';
import { readSource, sourceFiles } from '../support/sources.ts';

const code = sourceFiles('src', '.ts')
  .filter(({ path }) => path !== 'src/errors.ts' && path !== 'src/limits.ts')
  .map(({ text }) => text)
  .join('\n');

test('every error code is used outside its table', () => {
  const unused = Object.keys(errorTable).filter((name) => !code.includes(`'${name}'`));
  assert.deepEqual(unused, []);
});

test('every limit is read somewhere', () => {
  const unused = Object.keys(limitTable).filter(
    (name) => !new RegExp(`\\blimits\\.${name}\\b`).test(code),
  );
  assert.deepEqual(unused, []);
});

test('every error tells the reader what happened and what to do, in whole sentences', () => {
  for (const [name, { summary, remedy }] of Object.entries(errorTable)) {
    assert.match(summary, /^[A-Z].*[.]$/, name);
    assert.match(remedy, /^[A-Z].*[.]$/, name);
  }
});

test('docs/ERRORS.md, LIMITS.md and OPTIONS.md are what the tables say', () => {
  const say = 'out of date: run `npm run docs`';
  assert.ok(readSource('docs/ERRORS.md').text === formatErrors(errorTable), say);
  assert.ok(readSource('docs/LIMITS.md').text === formatLimits(limitTable), say);
  const options = formatOptions();
  assert.ok(readSource('docs/OPTIONS.md').text === options, say);
});
