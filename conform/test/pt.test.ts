/** The kit against a PT program that keeps every clause. Its faults, one at a time, are in the other files. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import { examinePt, ptClauses } from '../src/pt/index.ts';
import { faultyPt, faultyPtTransports } from './support/faulty-pt.ts';
import { examineFaultyPt, faultsIn, withVerdict } from './examine.ts';
import {
  endFaults,
  type Faults,
  lineFaults,
  loneFaults,
  startFaults,
  trafficFaults,
} from './pt-faults.ts';

test('a program without a fault keeps every clause that has a fault, and no other clause is judged', async () => {
  const reports = await examineFaultyPt('none');
  assert.deepEqual(faultsIn(reports), []);
  // Nothing from outside makes a SOCKS listener fail; what is then said can be wrong all the same.
  const unseen = ['PT-3.3.2-11', 'PT-3.3.2-12'];
  assert.deepEqual(withVerdict(reports, 'not observable'), unseen);
  assert.deepEqual(withVerdict(reports, 'not applicable'), ['PT-3.3.1-05', 'PT-3.3.1-11']);
  assert.deepEqual(
    [...withVerdict(reports, 'holds'), ...unseen].toSorted(),
    caughtBy(startFaults, lineFaults, endFaults, trafficFaults).toSorted(),
  );
});

describe('a program with one side', () => {
  for (const side of ['client', 'server'] as const) {
    test(`a ${side} without a fault breaks nothing, and its traffic is judged by what has a fault`, async () => {
      const others = caughtBy(startFaults, lineFaults, endFaults);
      const only = caughtBy(trafficFaults).filter((id) => !others.includes(id));
      const reports = await examineFaultyPt('none', { side, only });
      assert.deepEqual(faultsIn(reports), []);
      assert.deepEqual(withVerdict(reports, 'holds'), caughtBy(loneFaults[side]));
    });
  }
});

/** The clauses that faults break, in the document's order. */
function caughtBy(...tables: readonly Faults[]): readonly string[] {
  const caught = new Set(
    tables.flatMap((table) => Object.values(table)).flatMap((clauses) => clauses.split(' ')),
  );
  return ptClauses()
    .map(({ id }) => id)
    .filter((id) => caught.has(id));
}

test('nothing is left behind when it is interrupted', async () => {
  const stop = new AbortController();
  const folders = (): readonly string[] =>
    readdirSync(tmpdir()).filter((name) => name.startsWith(`postern-conform-${process.pid}-`));
  await assert.rejects(
    examinePt({
      command: faultyPt(),
      transports: faultyPtTransports,
      signal: stop.signal,
      onProgress(done) {
        assert.equal(folders().length, 1);
        if (done === 2) stop.abort(new Error('enough'));
      },
    }),
    { message: 'enough' },
  );
  assert.deepEqual(folders(), []);
});

test('a program that is not there, and one that has no transport, are said so', async () => {
  const { signal } = new AbortController();
  for (const command of [['/nonexistent/pt'], ['/bin/true']] as const) {
    await assert.rejects(examinePt({ command, signal, patienceMs: 500 }), {
      code: 'ERR_CONFORM_PROGRAM',
    });
  }
});
