/** The kit against whole programs: ours breaks nothing, others what is known of them. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { departures, occasional } from '../../scripts/departures.ts';
import { conform, missing, postern, temporaryDirectory } from '../support/programs.ts';

interface Verdicts {
  readonly conforming: boolean;
  readonly clauses: readonly { readonly id: string; readonly verdict: string }[];
}

/** The clauses with one of some verdicts. */
function clausesWith(json: string, ...verdicts: readonly string[]): readonly string[] {
  const { clauses } = JSON.parse(json) as Verdicts;
  return clauses.filter(({ verdict }) => verdicts.includes(verdict)).map(({ id }) => id);
}

/** What was broken, with what the kit saw: a rare fault must tell what it was the first time. */
function faults(json: string): readonly object[] {
  const { clauses } = JSON.parse(json) as Verdicts;
  return clauses.filter(({ verdict }) => verdict === 'broken');
}

const UNJUDGED = ['not observable', 'not applicable'] as const;

// Each of them starts a program a hundred times and more: time enough for others.
describe('the conformance kit', { concurrency: true }, () => {
  test('our transports break no clause', async () => {
    const { code, stdout } = await conform(['pt', '--json', '--', ...postern]);
    assert.deepEqual([faults(stdout), code], [[], 0]);
    assert.deepEqual(clausesWith(stdout, ...UNJUDGED), [
      // They permit something.
      ...['PT-3.3.1-05', 'PT-3.3.1-11'],
      // Nothing from outside makes one of its SOCKS listeners fail.
      ...['PT-3.3.2-11', 'PT-3.3.2-12'],
    ]);
  });

  test('our parent breaks no clause', async (t) => {
    const folder = temporaryDirectory(t);
    const command = join(folder, 'postern');
    const words = postern.map((word) => `'${word}'`).join(' ');
    writeFileSync(command, `#!/bin/sh\nexec ${words} "$@"\n`);
    chmodSync(command, 0o755);
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
    const { code, stdout } = await conform(['parent', '--json', '--recipe', 'postern'], env);
    assert.deepEqual([faults(stdout), code], [[], 0]);
    assert.deepEqual(clausesWith(stdout, ...UNJUDGED), [
      // They permit something, or say what a name means.
      ...['PT-3.2-02', 'PT-3.2.2-08', 'PT-3.2.3-07', 'PT-3.2.3-11', 'PT-3.2.3-15'],
      // It always uses the Extended ORPort.
      ...['PT-3.2.3-21', 'PT-3.2.3-24'],
      // Its client asks for one transport at a time.
      'PT-3.3.2-12',
      // What it makes known to clients is not seen.
      'PT-3.3.3-09',
    ]);
  });

  test(
    'obfs4proxy breaks what it is known to break',
    { skip: missing('obfs4proxy') },
    async (t) => {
      const junit = join(temporaryDirectory(t), 'junit.xml');
      const words = ['pt', '--json', '--junit', junit, '--', 'obfs4proxy'];
      const { code, stdout, stderr } = await conform(words);
      assert.equal(code, 1);
      assert.match(stderr, /Wrote .*junit\.xml/);
      const broken = clausesWith(stdout, 'broken').filter(
        (id) => !(id in occasional['obfs4proxy']!),
      );
      assert.deepEqual(broken.toSorted(), Object.keys(departures['obfs4proxy']!).toSorted());
      assert.deepEqual(clausesWith(stdout, ...UNJUDGED), ['PT-3.3.1-05', 'PT-3.3.1-11']);
      const xml = readFileSync(junit, 'utf8');
      assert.match(xml, /^<\?xml[^]*<testsuites tests="114" failures="\d+"/);
      assert.match(xml, /<testcase[^>]*name="PT-3\.3\.2-15 [^>]*>\s*<failure/);
    },
  );

  test('levels and ids choose, and wrong ones are refused', async () => {
    const ids = ['--only', 'PT-3.3.1-04', '--only', 'PT-3.3.1-06'];
    const only = ['pt', ...ids, '--level', 'MUST', '--json', '--'];
    const chosen = await conform([...only, ...postern]);
    const { clauses } = JSON.parse(chosen.stdout) as Verdicts;
    assert.deepEqual(
      clauses.map(({ id, verdict }) => [id, verdict]),
      [['PT-3.3.1-06', 'holds']],
    );

    for (const [args, message] of [
      [['pt', '--only', 'PT-9', '--', 'x'], /PT-9 is no clause/],
      [['pt', '--level', 'HIGH', '--', 'x'], /HIGH is none of/],
      [['parent', '--', 'x'], /needs \{pt\}/],
      [['parent', '--recipe', 'x'], /x is none of tor, postern/],
      [['parent', '--recipe', 'tor', '--', 'x', '{pt}'], /cannot be given together/],
      [['pt', '--only', 'PT-3-02', '--level', 'MAY', '--', 'x'], /leave no clause/],
      [['pt', '--junit', '/nonexistent/x.xml', '--', 'x'], /--junit file .* \(ENOENT\)/],
    ] as const) {
      const { code, stderr } = await conform(args);
      assert.equal(code, 2);
      assert.match(stderr, message);
    }
  });
});
