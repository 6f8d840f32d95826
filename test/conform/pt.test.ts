/** The kit against a PT program that keeps every clause. Its faults, one at a time, are in the other files. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { examinePt } from '../../src/conform/pt/index.ts';
import { faultyPt, faultyPtTransports } from '../support/faulty-pt.ts';
import { examineFaultyPt, faultsIn, withVerdict } from './examine.ts';
import { lineFaults, startFaults, trafficFaults } from './pt-faults.ts';

test('a program without a fault breaks nothing, and every clause that is judged has a fault that breaks it', async () => {
  const reports = await examineFaultyPt('none');
  assert.deepEqual(faultsIn(reports), []);
  const all = { ...startFaults, ...lineFaults, ...trafficFaults };
  const caught = Object.values(all).flatMap((clauses) => clauses.split(' '));
  const unchecked = withVerdict(reports, 'holds').filter((id) => !caught.includes(id));
  assert.deepEqual(unchecked, []);
});

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
