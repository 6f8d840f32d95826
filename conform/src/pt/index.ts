/** `postern conform pt`: every clause that the outside can see of a PT program. */
import { ExaminationError } from '../errors.ts';
import { type Clause, readClauses } from '../clauses.ts';
import { type ClauseReport, Findings, reportClauses } from '../findings.ts';
import { type Facts, knownTransports, Lab } from '../lab.ts';
import { inParallel } from '../parallel.ts';
import { clientMethodProbe } from './client-methods.ts';
import { endingProbes } from './ending.ts';
import { environmentProbes, sampleProbes } from './environment.ts';
import { extendedOrPortProbes } from './extended-or-port.ts';
import { judgeLines, lineClauses } from './lines.ts';
import { loneProbes } from './lone.ts';
import { methodProbes } from './methods.ts';
import { privacyProbes } from './privacy.ts';
import type { Probe } from './probe.ts';
import { serverMethodProbe } from './server-methods.ts';
import { stateProbe } from './state.ts';
import { trafficProbes } from './traffic.ts';
import { upstreamProbes } from './upstream.ts';

/** What to examine, and how. */
export interface PtOptions {
  readonly command: readonly [string, ...string[]];
  /** Clause ids; every clause that binds a PT by default. */
  readonly only?: readonly string[];
  /** The program's transports, where they are not among those that are asked for anyway. */
  readonly transports?: readonly string[];
  /** An option of a transport that its ARGS show again; by transport. */
  readonly shownOptions?: ReadonlyMap<string, string>;
  readonly patienceMs?: number;
  readonly quietMs?: number;
  readonly signal: AbortSignal;
  /** What the program has, where that is known and need not be found out. */
  readonly facts?: Facts;
  /** Ends as soon as every clause that was asked for is broken. */
  readonly bail?: boolean;
  /** Hears of each probe that has come to its end. */
  readonly onProgress?: (done: number, total: number, title: string) => void;
}

/** The clauses that bind a PT program. */
export function ptClauses(): readonly Clause[] {
  return readClauses('pt-clauses.json').filter(({ who }) => who !== 'parent');
}

/**
 * Examines a PT program. Everything that it starts is gone when the promise settles.
 *
 * @throws ExaminationError `ERR_CONFORM_PROGRAM` when there is nothing to examine; `signal.reason`
 */
export async function examinePt(options: PtOptions): Promise<readonly ClauseReport[]> {
  const { only, signal, onProgress = () => {} } = options;
  const clauses = ptClauses().filter(({ id }) => only === undefined || only.includes(id));
  const selected = new Set(clauses.map(({ id }) => id));
  const lab = new Lab({
    command: options.command,
    transports: options.transports ?? knownTransports,
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    quietMs: options.quietMs ?? QUIET_MS,
    shownOptions: options.shownOptions ?? shownByKnownTransports,
    signal,
  });
  try {
    onProgress(0, 0, 'looking for transports');
    if (options.facts === undefined) await lab.discover();
    else lab.facts = options.facts;
    const findings = new Findings();
    // Why something could not even be tried counts for less than what was found by trying.
    const lacks = new Findings();
    const chosen = chooseProbes(selected);
    const probes = options.bail === true ? widestFirst(chosen, selected) : chosen;
    let done = 0;
    await inParallel(probes, options.bail === true ? 2 : JOBS, async (probe) => {
      signal.throwIfAborted();
      if (options.bail === true && isAllBroken(clauses, lab, findings)) return;
      await runProbe(lab, probe, findings, lacks);
      done += 1;
      onProgress(done, probes.length, probe.title);
    });
    judgeLines(lab.runs, findings);
    findings.list.push(...lacks.list);
    for (const [ids, verdict, reason] of unjudged) findings.pass(ids, verdict, reason);
    return reportClauses(clauses, findings.list);
  } finally {
    await lab.close();
  }
}

/** The starts that report methods: they show the lines of a program too. */
const plainStartProbes: readonly Probe[] = [
  ...methodProbes,
  clientMethodProbe,
  serverMethodProbe,
  stateProbe,
];

const allProbes: readonly Probe[] = [
  ...endingProbes, // The longest first.
  ...upstreamProbes,
  ...trafficProbes,
  ...extendedOrPortProbes,
  ...privacyProbes,
  ...loneProbes,
  ...plainStartProbes,
  ...environmentProbes,
];

function chooseProbes(selected: ReadonlySet<string>): readonly Probe[] {
  const probes = allProbes.filter(({ clauses }) => clauses.some((id) => selected.has(id)));
  const needsLines = lineClauses.some((id) => selected.has(id));
  return needsLines ? [...new Set([...probes, ...sampleProbes, ...plainStartProbes])] : probes;
}

/** What judges most of the clauses comes first. */
function widestFirst(probes: readonly Probe[], selected: ReadonlySet<string>): readonly Probe[] {
  const width = ({ clauses }: Probe): number => clauses.filter((id) => selected.has(id)).length;
  return probes.toSorted((a, b) => width(b) - width(a));
}

function isAllBroken(clauses: readonly Clause[], lab: Lab, findings: Findings): boolean {
  const all = new Findings();
  all.list.push(...findings.list);
  judgeLines(lab.runs, all);
  return reportClauses(clauses, all.list).every(({ verdict }) => verdict === 'broken');
}

async function runProbe(
  lab: Lab,
  probe: Probe,
  findings: Findings,
  lacks: Findings,
): Promise<void> {
  const ids = probe.clauses.join(' ');
  const { needs } = probe;
  if ((needs === 'client' || needs === 'server') && !lab.has(needs)) {
    lacks.pass(ids, 'not applicable', `the program has no ${needs} side`);
    return;
  }
  if (needs === 'pair' && lab.facts.pair === undefined) {
    const missing = lab.has('client') ? 'server' : 'client';
    const reason = `the program has no ${missing} side that could be at the other end`;
    lacks.pass(ids, 'not observable', reason);
    return;
  }
  const lone = needs === 'lone client' ? 'client' : needs === 'lone server' ? 'server' : undefined;
  if (lone !== undefined && (lab.facts.pair !== undefined || !lab.has(lone))) return;
  try {
    await probe.run(lab, findings);
  } catch (error) {
    if (!(error instanceof ExaminationError)) throw error;
    findings.pass(ids, 'not observable', error.message);
  }
}

/** What is left when no check had anything to say. */
const unjudged = [
  ['PT-3.3.1-05 PT-3.3.1-11', 'not applicable', 'it permits, and asks nothing'],
  [
    'PT-3.3.2-11 PT-3.3.2-12',
    'not observable',
    'nothing from outside makes one of its SOCKS listeners fail',
  ],
  ['PT-3.3.3-08 PT-3.3.3-10', 'not observable', 'it publishes no ARGS'],
  ['PT-3.3.3-11', 'not observable', 'none of its listeners failed'],
  ['PT-3.3.1-12 PT-3.3.1-13 PT-3.3.1-14', 'not observable', 'it wrote no ENV-ERROR'],
  ['PT-3.3.2-04 PT-3.3.2-05', 'not observable', 'it wrote no PROXY-ERROR'],
] as const;

/** What the ARGS of transports that are widely known show of their options. */
const shownByKnownTransports: ReadonlyMap<string, string> = new Map([['obfs4', 'iat-mode=1']]);

/** What a program may take for a start or an answer; the slowest on a loaded machine stay far below. */
const PATIENCE_MS = 6000;

/** How long nothing must happen before it is taken for nothing. */
const QUIET_MS = 1000;

/** Starts of programs that mostly wait for each other. */
const JOBS = 6;
