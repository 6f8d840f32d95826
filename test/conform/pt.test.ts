/** The kit against a PT program that keeps every clause, and against the same with one fault at a time. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import type { ClauseReport } from '../../src/conform/findings.ts';
import { examinePt } from '../../src/conform/pt/index.ts';
import { faultyPt, faultyPtTransports } from '../support/faulty-pt.ts';
import { ptMutations } from './pt-mutations.ts';

const signal = new AbortController().signal;

function examine(fault: string, only?: readonly string[]): Promise<readonly ClauseReport[]> {
  return examinePt({
    command: faultyPt(fault),
    transports: faultyPtTransports,
    shownOptions: new Map([['xora', 'key=key-77777777']]),
    patienceMs: 1500,
    quietMs: 400,
    signal,
    ...(only !== undefined && { only, bail: true }),
  });
}

function withVerdict(reports: readonly ClauseReport[], verdict: string): readonly string[] {
  return reports.filter((report) => report.verdict === verdict).map(({ clause }) => clause.id);
}

test('a program without a fault breaks nothing, and every clause that is judged has a fault that breaks it', async () => {
  const reports = await examine('none');
  assert.deepEqual(
    reports
      .filter(({ verdict }) => verdict === 'broken')
      .map(({ clause, faults }) => [clause.id, faults]),
    [],
  );
  const caught = new Set(Object.values(ptMutations).flatMap((clauses) => clauses.split(' ')));
  const unchecked = withVerdict(reports, 'holds').filter((id) => !caught.has(id));
  assert.deepEqual(unchecked, []);
});

describe('each fault is found', { concurrency: 4 }, () => {
  for (const [fault, clauses] of Object.entries(ptMutations)) {
    test(`${fault}: ${clauses}`, async () => {
      const only = clauses.split(' ');
      assert.deepEqual(
        withVerdict(await examine(fault, only), 'broken').toSorted(),
        only.toSorted(),
      );
    });
  }
});

test('nothing is left behind when it is interrupted', async () => {
  const stop = new AbortController();
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('postern-conform-'));
  await assert.rejects(
    examinePt({
      command: faultyPt(),
      transports: faultyPtTransports,
      signal: stop.signal,
      onProgress: (done) => {
        if (done === 2) stop.abort(new Error('enough'));
      },
    }),
    { message: 'enough' },
  );
  const after = readdirSync(tmpdir()).filter((name) => name.startsWith('postern-conform-'));
  assert.deepEqual(
    after.filter((name) => !before.includes(name)),
    [],
  );
});

test('a program that is not there, and one that has no transport, are said so', async () => {
  for (const command of [['/nonexistent/pt'], ['/bin/true']] as const) {
    await assert.rejects(examinePt({ command, signal, patienceMs: 500 }), {
      code: 'ERR_CONFORM_PROGRAM',
    });
  }
});
