/** The kit against a parent that keeps every clause, and against the same with one fault at a time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClauseReport } from '../../src/conform/findings.ts';
import { examineParent } from '../../src/conform/parent/index.ts';
import type { Launch } from '../../src/conform/parent/recipes.ts';
import { faultyParent, faultyParentOptions } from '../support/faulty-parent.ts';
import { parentMutations } from './parent-mutations.ts';

const signal = new AbortController().signal;

const launches = {
  client: (fault: string): Launch => ({ template: faultyParent(fault, 'client') }),
  server: (fault: string): Launch => ({
    template: faultyParent(fault, 'server').filter((word) => word !== '{args}'),
  }),
  extended: (fault: string): Launch => ({
    template: faultyParent(fault, 'server').map((word) => (word === '{args}' ? 'extended' : word)),
    serverOptions: faultyParentOptions,
    hasExtendedOrPort: true,
  }),
};

function withVerdict(reports: readonly ClauseReport[], verdict: string): readonly string[] {
  return reports.filter((report) => report.verdict === verdict).map(({ clause }) => clause.id);
}

test('a parent without a fault breaks nothing, and every clause that is judged has a fault that breaks it', async () => {
  const reports = await examineParent({
    launches: Object.values(launches).map((launch) => launch('none')),
    signal,
  });
  assert.deepEqual(
    reports
      .filter(({ verdict }) => verdict === 'broken')
      .map(({ clause, faults }) => [clause.id, faults]),
    [],
  );
  const caught = new Set(parentMutations.flatMap(([, , clauses]) => clauses.split(' ')));
  const unchecked = withVerdict(reports, 'holds').filter((id) => !caught.has(id));
  assert.deepEqual(unchecked, []);
});

describe('each fault is found', { concurrency: 4 }, () => {
  for (const [role, fault, clauses] of parentMutations) {
    test(`${role}, ${fault}: ${clauses}`, async () => {
      const only = clauses.split(' ');
      const options = { launches: [launches[role](fault)], only, signal, bail: true };
      const reports = await examineParent({ ...options, patienceMs: 3000, stopPatienceMs: 2500 });
      assert.deepEqual(withVerdict(reports, 'broken').toSorted(), only.toSorted());
    });
  }
});

test('a command that starts no PT is said so', async () => {
  const template = ['/bin/echo', 'no thanks', '{pt}'];
  await assert.rejects(examineParent({ launches: [{ template }], signal, patienceMs: 2000 }), {
    code: 'ERR_CONFORM_PROGRAM',
    message: /no thanks/,
  });
});
