/** `postern-conform pt`: every clause that the outside can see of a PT program. */
import { type Clause, readClauses } from '../clauses.ts';
import { type Check, examine } from '../examine.ts';
import type { ClauseReport, NoVerdict } from '../findings.ts';
import { clientMethodChecks } from './client-methods.ts';
import { endingChecks } from './ending.ts';
import { environmentChecks, sampleChecks } from './environment.ts';
import { extendedOrPortChecks } from './extended-or-port.ts';
import { judgeLines, lineClauses } from './lines.ts';
import { PtLab, type PtOptions } from './lab.ts';
import { loneChecks } from './lone.ts';
import { methodChecks } from './methods.ts';
import { privacyChecks } from './privacy.ts';
import type { PtCheck } from './check.ts';
import { serverMethodChecks } from './server-methods.ts';
import { stateChecks } from './state.ts';
import { trafficChecks } from './traffic.ts';
import { upstreamChecks } from './upstream.ts';

/** The clauses that bind a PT program. */
export function ptClauses(): readonly Clause[] {
  return readClauses('pt-clauses.json').filter(({ who }) => who !== 'parent');
}

/**
 * Examines a PT program. Everything that it starts is gone when the promise settles.
 *
 * @throws ExaminationError `ERR_CONFORM_PROGRAM` when there is nothing to examine; `signal.reason`
 */
export function examinePt(options: PtOptions): Promise<readonly ClauseReport[]> {
  const lab = new PtLab(options);
  return examine(options, {
    clauses: ptClauses(),
    lab,
    jobs: JOBS,
    first: 'looking for transports',
    async discover() {
      await lab.discover();
      return checks;
    },
    overall: {
      clauses: lineClauses,
      checks: new Set(checks.filter((_, index) => showingLines.has(ptChecks[index]!))),
      judge: (findings) => judgeLines(lab.runs, findings),
    },
    unjudged,
  });
}

const ptChecks: readonly PtCheck[] = [
  ...endingChecks, // The longest first.
  ...upstreamChecks,
  ...trafficChecks,
  ...extendedOrPortChecks,
  ...privacyChecks,
  ...loneChecks,
  ...methodChecks,
  ...clientMethodChecks,
  ...serverMethodChecks,
  ...stateChecks,
  ...environmentChecks,
];

/** The starts that report methods, and one of each kind: they show the lines of a program too. */
const showingLines: ReadonlySet<PtCheck> = new Set([
  ...methodChecks,
  ...clientMethodChecks,
  ...serverMethodChecks,
  ...stateChecks,
  ...sampleChecks,
]);

/** The checks, each run only where the program has what it needs. */
const checks: readonly Check<PtLab>[] = ptChecks.map((check) => ({
  ...check,
  async run(lab) {
    const lack = lackOf(check, lab);
    if (lack === undefined) await check.run(lab);
    else if (lack !== 'not meant') lab.lack(check.clauses, ...lack);
  },
}));

/** Why a check cannot be made of a program; a check of a lone side is not meant for one with both. */
function lackOf(
  { needs }: PtCheck,
  lab: PtLab,
): readonly [reason: string, verdict?: NoVerdict] | 'not meant' | undefined {
  switch (needs) {
    case 'any':
      return undefined;
    case 'client':
    case 'server':
      if (lab.has(needs)) return undefined;
      return [`the program has no ${needs} side`, 'not applicable'];
    case 'pair': {
      if (lab.facts.pair !== undefined) return undefined;
      const missing = lab.has('client') ? 'server' : 'client';
      return [`the program has no ${missing} side that could be at the other end`];
    }
    case 'lone client':
    case 'lone server': {
      const role = needs === 'lone client' ? 'client' : 'server';
      return lab.facts.pair === undefined && lab.has(role) ? undefined : 'not meant';
    }
  }
}

/** Verdicts for clauses that no check has judged. */
const unjudged = [
  ['PT-3.3.1-05 PT-3.3.1-11', 'it permits, and asks nothing', 'not applicable'],
  ['PT-3.3.2-11 PT-3.3.2-12', 'nothing from outside makes one of its SOCKS listeners fail'],
  ['PT-3.3.3-08 PT-3.3.3-10', 'it publishes no ARGS'],
  ['PT-3.3.3-11', 'none of its listeners failed'],
  ['PT-3.3.1-12 PT-3.3.1-13 PT-3.3.1-14', 'it wrote no ENV-ERROR'],
  ['PT-3.3.2-04 PT-3.3.2-05', 'it wrote no PROXY-ERROR'],
] as const;

/** Starts of programs that mostly wait for each other. */
const JOBS = 6;
