/** Verdicts from findings, and the forms in which they are shown. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clause } from '../src/clauses.ts';
import { Findings, reportClauses, shown } from '../src/findings.ts';
import { formatJson, formatJunit, formatTable, isConforming } from '../src/report.ts';

const clauses: readonly Clause[] = [
  { id: 'A', level: 'MUST', who: 'proxy', clause: 'A proxy does a.' },
  { id: 'B', level: 'SHOULD', who: 'proxy', clause: 'A proxy does b.' },
  { id: 'C', level: 'FACT', who: 'proxy', clause: 'A proxy does c.' },
  { id: 'D', level: 'MAY', who: 'proxy', clause: 'A proxy does d.' },
];

const evidence = { sent: 's <&>', came: 'c\u0001', expected: 'e' };

function reportsOf(act: (findings: Findings) => void): ReturnType<typeof reportClauses> {
  const findings = new Findings();
  act(findings);
  return reportClauses(clauses, findings);
}

describe('verdicts', () => {
  test('one fault outweighs all else, and a judgement the lack of one', () => {
    const reports = reportsOf((findings) => {
      findings.judge('A B', true, evidence);
      findings.judge('A', false, evidence);
      findings.pass('A B C', 'why not', 'not applicable');
    });
    assert.deepEqual(
      reports.map(({ verdict, reason }) => [verdict, reason]),
      [
        ['broken', undefined],
        ['holds', undefined],
        ['not applicable', 'why not'],
        ['not observable', 'no check got as far as to judge it'],
      ],
    );
  });

  test('only what binds decides', () => {
    const broken = (id: string): boolean =>
      isConforming(reportsOf((findings) => findings.judge(id, false, evidence)));
    assert.deepEqual(['A', 'B', 'C', 'D'].map(broken), [false, true, false, true]);
  });
});

describe('forms', () => {
  const reports = reportsOf((findings) => {
    findings.judge('A', false, evidence);
    findings.judge('A', false, evidence);
    findings.judge('B', false, { ...evidence, sent: 'other' });
    findings.judge('C', true, evidence);
    findings.pass('D', 'nobody looks');
  });

  test('the table shows the same fault once, and colours where it may', () => {
    const table = formatTable(reports, { columns: 80, hasColour: false });
    assert.equal(table.match(/sent {6}s <&>/g)?.length, 1);
    assert.match(table, /^BROKEN A {11}MUST {5}A proxy does a\.$/m);
    assert.match(table, /^\? {6}D {11}MAY {6}A proxy does d\.\n {7}\(nobody looks\)$/m);
    assert.match(
      table,
      /4 clauses: 1 hold, 2 broken \(1 of them MUST, MUST NOT or FACT\), 1 not obs/,
    );
    assert.ok(!table.includes('\x1b['));
    assert.ok(formatTable(reports, { columns: 80, hasColour: true }).includes('\x1b[31mBROKEN'));
  });

  test('JSON says all of it', () => {
    const {
      subject,
      conforming,
      clauses: all,
    } = JSON.parse(formatJson('x', reports)) as {
      subject: string;
      conforming: boolean;
      clauses: { id: string; verdict: string; faults?: unknown[] }[];
    };
    assert.deepEqual([subject, conforming, all.length], ['x', false, 4]);
    assert.deepEqual(all[0]!.faults, [evidence]);
  });

  test('JUnit fails for what binds alone, and is XML', () => {
    const xml = formatJunit('x "y"', reports);
    assert.match(xml, /<testsuite name="x &quot;y&quot;" tests="4" failures="1" skipped="1">/);
    assert.match(xml, /sent: s &lt;&amp;&gt;\ncame: c\?\n/);
    assert.match(xml, /name="B [^]*<system-out>sent: other/);
  });

  test('evidence is printable and short', () => {
    assert.equal(shown('a\n"b"\\'), 'a\\n"b"\\');
    assert.match(shown('x'.repeat(1000)), /^x{160}… \(1000 characters\)$/);
  });
});
