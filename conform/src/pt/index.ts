/** `postern-conform pt`: every clause that the outside can see of a PT program. */
import { type Clause, readClauses } from '../clauses.ts';
import { examine } from '../examine.ts';
import type { ClauseReport } from '../findings.ts';
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
      return checks.filter((check) => isPossible(lab, check));
    },
    overall: {
      clauses: lineClauses,
      checks: new Set([...startChecks, ...sampleChecks]),
      judge: (findings) => judgeLines(lab.runs, findings),
    },
    unjudged,
  });
}

/** The starts that report methods. */
const startChecks: readonly PtCheck[] = [
  ...methodChecks,
  ...clientMethodChecks,
  ...serverMethodChecks,
  ...stateChecks,
];

const checks: readonly PtCheck[] = [
  ...endingChecks, // The longest first.
  ...upstreamChecks,
  ...trafficChecks,
  ...extendedOrPortChecks,
  ...privacyChecks,
  ...loneChecks,
  ...startChecks,
  ...environmentChecks,
];

/** Whether a check can be made of the program; a check of a lone side is not meant for one with both. */
function isPossible(lab: PtLab, { needs, clauses }: PtCheck): boolean {
  switch (needs) {
    case 'any':
      return true;
    case 'client':
    case 'server':
      if (lab.has(needs)) return true;
      lab.lack(clauses, `the program has no ${needs} side`, 'not applicable');
      return false;
    case 'pair': {
      if (lab.facts.pair !== undefined) return true;
      const missing = lab.has('client') ? 'server' : 'client';
      lab.lack(clauses, `the program has no ${missing} side that could be at the other end`);
      return false;
    }
    case 'lone client':
    case 'lone server':
      return lab.facts.pair === undefined && lab.has(needs === 'lone client' ? 'client' : 'server');
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
