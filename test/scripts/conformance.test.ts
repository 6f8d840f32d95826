import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clause, formatConformance, problemsOf } from '../../scripts/conformance.ts';
import conformanceReporter, { type Claim, splitTitle } from '../../scripts/conformance-reporter.ts';

const clauses: readonly Clause[] = [
  { id: 'PT-1-01', section: '1', level: 'MUST', who: 'proxy', clause: 'Does a *thing*.' },
  { id: 'PT-1-02', section: '1', level: 'SHOULD', who: 'proxy', clause: 'Does more.' },
];

function claim(outcome: Claim['outcome'], ...ids: string[]): Claim {
  return { file: 'test/a.test.ts', title: 'a <title>', clauses: ids, outcome };
}

test('a title begins with the ids it claims, and keeps the rest', () => {
  assert.deepEqual(splitTitle('[PT-3.3.2-08] [PT-A-01] says [this]'), {
    clauses: ['PT-3.3.2-08', 'PT-A-01'],
    rest: 'says [this]',
  });
  assert.deepEqual(splitTitle('later [PT-1-01]'), { clauses: [], rest: 'later [PT-1-01]' });
});

test('the reporter keeps tests that claim clauses, sorted, with their outcome', async () => {
  const events = [
    { type: 'test:pass', data: { name: '[PT-1-02] b', file: 'x' } },
    { type: 'test:fail', data: { name: '[PT-1-01] a', file: 'x' } },
    { type: 'test:pass', data: { name: '[PT-1-01] c', file: 'x', skip: 'no peer' } },
    { type: 'test:pass', data: { name: 'claims nothing', file: 'x' } },
    { type: 'test:diagnostic', data: { message: '[PT-1-01] tests 4' } },
  ];
  const chunks: string[] = [];
  async function* source(): AsyncGenerator<never> {
    yield* events as never[];
  }
  for await (const chunk of conformanceReporter(source())) chunks.push(chunk);
  const claims = JSON.parse(chunks.join('')) as Claim[];
  assert.deepEqual(
    claims.map(({ title, outcome }) => [title, outcome]),
    [
      ['a', 'failed'],
      ['b', 'passed'],
      ['c', 'skipped'],
    ],
  );
});

test('a binding clause is a problem unless a test passed and none failed', () => {
  assert.deepEqual(problemsOf(clauses, [claim('passed', 'PT-1-01')]), []);
  assert.deepEqual(problemsOf(clauses, []), ['PT-1-01 (MUST, proxy): no test']);
  assert.deepEqual(problemsOf(clauses, [claim('skipped', 'PT-1-01')]), [
    'PT-1-01 (MUST, proxy): skipped',
  ]);
  assert.deepEqual(problemsOf(clauses, [claim('passed', 'PT-1-01'), claim('failed', 'PT-1-01')]), [
    'PT-1-01 (MUST, proxy): failed',
  ]);
});

test('an id that no clause has is a problem', () => {
  assert.deepEqual(problemsOf(clauses, [claim('passed', 'PT-1-01', 'PT-9-99')]), [
    'test/a.test.ts claims PT-9-99, which no clause file has',
  ]);
});

test('the page shows each clause with its verdict and tests, as text', () => {
  const page = formatConformance(clauses, [claim('passed', 'PT-1-01')]);
  assert.ok(page.includes('**PT-1-01** · MUST · proxy · proven\n\n> Does a \\*thing\\*.'));
  assert.ok(page.includes('- `test/a.test.ts`: a \\<title\\>\n'));
  assert.ok(page.includes('**PT-1-02** · SHOULD · proxy · no test'));
  assert.ok(page.includes('| proxy | MUST | 1 | 1 |\n| proxy | SHOULD | 1 | 0 |'));
});

test('each document has a chapter of its own, with its own counts', () => {
  const control = { id: 'TC-1-01', section: '1', level: 'MUST', who: 'server', clause: 'Answers.' };
  const page = formatConformance([...clauses, control], [claim('passed', 'TC-1-01')]);
  const [head, pt, tc, ...more] = page.split(/^## /m);
  assert.ok(head!.startsWith('# Conformance') && more.length === 0);
  assert.ok(pt!.includes('| proxy | MUST | 1 | 0 |') && !pt!.includes('server'));
  assert.ok(tc!.includes('| server | MUST | 1 | 1 |') && tc!.includes('**TC-1-01**'));
});
