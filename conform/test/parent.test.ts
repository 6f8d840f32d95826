/** The kit against a parent that keeps every clause. Its faults, one at a time, are in the other files. */
import assert from 'node:assert/strict';
import { relative } from 'node:path';
import { test } from 'node:test';
import { examineParent } from '../src/parent/index.ts';
import { faultsIn, faultyLaunches, testTimes, withVerdict } from './examine.ts';
import { conductFaults, messageFaults } from './parent-faults.ts';

const signal = new AbortController().signal;

test('a parent without a fault keeps every clause that has a fault, and no other clause is judged', async () => {
  const reports = await examineParent({
    launches: Object.values(faultyLaunches).map((launch) => launch('none')),
    ...testTimes,
    signal,
  });
  assert.deepEqual(faultsIn(reports), []);
  const caught = [...messageFaults, ...conductFaults].flatMap(([, , clauses]) =>
    clauses.split(' '),
  );
  assert.deepEqual(withVerdict(reports, 'holds').toSorted(), [...new Set(caught)].toSorted());
  assert.deepEqual(withVerdict(reports, 'not observable'), ['PT-3.3.3-09']);
  assert.deepEqual(withVerdict(reports, 'not applicable'), [
    ...['PT-3.2-02', 'PT-3.2.2-08', 'PT-3.2.3-11', 'PT-3.2.3-15'],
  ]);
});

test('a command that starts no PT is said so', async () => {
  const template = ['/bin/echo', 'no thanks', '{pt}'];
  await assert.rejects(examineParent({ launches: [{ template }], signal, ...testTimes }), {
    code: 'ERR_CONFORM_PROGRAM',
    message: /no thanks/,
  });
});

test('a parent that never uses its PT has refused nothing', async () => {
  const template = [
    '/bin/sh',
    '-c',
    'TOR_PT_MANAGED_TRANSPORT_VER=1 TOR_PT_CLIENT_TRANSPORTS=a {pt}',
  ];
  const only = ['PT-2-02', 'PT-3.3.2-08', 'PT-3.5-03'];
  const reports = await examineParent({ launches: [{ template }], only, signal, ...testTimes });
  assert.deepEqual(withVerdict(reports, 'not observable'), only);
});

test('a relative path is that of the folder in which the kit is called', async () => {
  const template = [relative(process.cwd(), '/bin/echo'), 'found', '{pt}'];
  await assert.rejects(examineParent({ launches: [{ template }], signal, ...testTimes }), {
    message: /found/,
  });
});
