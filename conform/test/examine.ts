/** The kit against programs with one fault at a time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClauseReport, Verdict } from '../src/findings.ts';
import { examineParent } from '../src/parent/index.ts';
import type { Facts } from '../src/pt/lab.ts';
import type { Launch } from '../src/parent/recipes.ts';
import { examinePt } from '../src/pt/index.ts';
import {
  faultyParent,
  faultyParentOptions,
  faultyParentUpstream,
} from './support/faulty-parent.ts';
import { faultyPt, faultyPtTransports, type Side } from './support/faulty-pt.ts';
import type { ParentFaults } from './parent-faults.ts';
import type { Faults } from './pt-faults.ts';

const signal = new AbortController().signal;

/**
 * Waiting for what does not come is most of the time that these tests take. The least times are short because
 * the faulty programs start fast; on a slow machine all of them grow.
 */
export const testTimes = { patienceMs: 500, quietMs: 200, stopPatienceMs: 2500 } as const;

/** How the faulty PT is examined, in some respects at least. */
export interface FaultyPtOptions {
  readonly side?: Side | undefined;
  readonly only?: readonly string[];
  /** Only as far as the clauses are all broken. */
  readonly bail?: boolean;
  readonly facts?: Facts;
}

/** Examines the faulty PT. */
export function examineFaultyPt(
  fault: string,
  { side, ...options }: FaultyPtOptions = {},
): Promise<readonly ClauseReport[]> {
  return examinePt({
    command: faultyPt(fault, side),
    transports: faultyPtTransports,
    shownOptions: new Map([['xora', 'key=key-77777777']]),
    ...testTimes,
    signal,
    ...options,
  });
}

/** How to start the faulty parent in each of its roles. */
export const faultyLaunches: Readonly<
  Record<'client' | 'upstream' | 'server' | 'extended', (fault: string) => Launch>
> = {
  client: (fault) => ({ template: faultyParent(fault, 'client') }),
  upstream: (fault) => ({
    template: faultyParent(fault, 'upstream'),
    upstream: faultyParentUpstream,
  }),
  server: (fault) => ({
    template: faultyParent(fault, 'server').filter((word) => word !== '{args}'),
  }),
  extended: (fault) => ({
    template: faultyParent(fault, 'server').map((word) => (word === '{args}' ? 'extended' : word)),
    serverOptions: faultyParentOptions,
    hasExtendedOrPort: true,
  }),
};

/** The clauses with a verdict. */
export function withVerdict(reports: readonly ClauseReport[], verdict: Verdict): readonly string[] {
  return reports.filter((report) => report.verdict === verdict).map(({ clause }) => clause.id);
}

/** What was wrong, with the evidence, for a program without a fault. */
export function faultsIn(reports: readonly ClauseReport[]): readonly unknown[] {
  return reports
    .filter(({ verdict }) => verdict === 'broken')
    .map(({ clause, faults }) => [clause.id, faults]);
}

/** What the faulty PT has: with most faults it would take longer to find that out than to find the fault. */
function factsOf(side: Side | undefined): Facts {
  const args = [['key', 'key-1']] as const;
  return {
    client: side === 'server' ? [] : faultyPtTransports,
    server: new Map(side === 'client' ? [] : faultyPtTransports.map((name) => [name, args])),
    pair: side === undefined ? faultyPtTransports[0] : undefined,
  };
}

/** A test for each row of a table: what a fault breaks is found, and nothing else. The clauses stand last. */
export function testFaults<Row extends readonly string[]>(
  program: string,
  rows: readonly Row[],
  examine: (row: Row, only: readonly string[]) => Promise<readonly ClauseReport[]>,
  concurrency = 8,
): void {
  describe(`each fault of a ${program} is found`, { concurrency }, () => {
    for (const row of rows) {
      const clauses = row.at(-1)!;
      test(`${row.slice(0, -1).join(', ')}: ${clauses}`, async () => {
        const only = clauses.split(' ');
        const broken = withVerdict(await examine(row, only), 'broken');
        assert.deepEqual(broken.toSorted(), only.toSorted());
      });
    }
  });
}

/** A test for each fault of the PT, or of one that has a side only. */
export function testPtFaults(faults: Faults, side?: Side): void {
  const facts = factsOf(side);
  testFaults(side ?? 'PT', Object.entries(faults), ([fault], only) =>
    examineFaultyPt(fault, { side, only, bail: true, facts }),
  );
}

/** A test for each fault of the parent. */
export function testParentFaults(faults: ParentFaults): void {
  testFaults('parent', faults, ([role, fault], only) => {
    const launches = [faultyLaunches[role](fault)];
    return examineParent({ launches, only, bail: true, ...testTimes, signal });
  });
}
