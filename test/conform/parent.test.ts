/** The kit against a parent that keeps every clause. Its faults, one at a time, are in the other files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { examineParent } from '../../src/conform/parent/index.ts';
import { faultsIn, faultyLaunches, testTimes, withVerdict } from './examine.ts';
import { conductFaults, messageFaults } from './parent-faults.ts';

const signal = new AbortController().signal;

test('a parent without a fault breaks nothing, and every clause that is judged has a fault that breaks it', async () => {
  const reports = await examineParent({
    launches: Object.values(faultyLaunches).map((launch) => launch('none')),
    ...testTimes,
    signal,
  });
  assert.deepEqual(faultsIn(reports), []);
  const caught = [...messageFaults, ...conductFaults].flatMap(([, , clauses]) =>
    clauses.split(' '),
  );
  const unchecked = withVerdict(reports, 'holds').filter((id) => !caught.includes(id));
  assert.deepEqual(unchecked, []);
});

test('a command that starts no PT is said so', async () => {
  const template = ['/bin/echo', 'no thanks', '{pt}'];
  await assert.rejects(examineParent({ launches: [{ template }], signal, ...testTimes }), {
    code: 'ERR_CONFORM_PROGRAM',
    message: /no thanks/,
  });
});
