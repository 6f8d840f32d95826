/** `postern conform tc`: every clause that the outside can see of a TC server. */
import { ExaminationError } from '../errors.ts';
import type { Endpoint } from 'postern/pt';
import { type Clause, readClauses } from '../clauses.ts';
import { type ClauseReport, Findings, reportClauses } from '../findings.ts';
import { authenticationProbes } from './authentication.ts';
import { configurationProbes } from './configuration.ts';
import { eventProbes } from './events.ts';
import { connectionProbes } from './connections.ts';
import { floodProbes } from './flood.ts';
import { groupProbes } from './groups.ts';
import { TcLab, type TcPermissions, type TcSecret } from './lab.ts';
import { mappedConnectionProbes } from './mapped-connections.ts';
import { mappingProbes } from './mappings.ts';
import { messageProbes } from './messages.ts';
import type { TcProbe } from './probe.ts';
import type { TcAddress } from './session.ts';
import { lastProbes, signalProbes } from './signals.ts';
import { judgeTranscript, transcriptClauses } from './transcript.ts';

/** What to examine, and how. */
export interface TcOptions {
  readonly address: TcAddress;
  /** What the server wants to see; where it trusts whoever connects, none. */
  readonly secret?: TcSecret;
  /** A SOCKS port of the server, for traffic. */
  readonly socks?: Endpoint;
  /** What may be done to it besides what is put back afterwards. */
  readonly permissions?: TcPermissions;
  /** Clause ids; all of them by default. */
  readonly only?: readonly string[];
  /** How long the server may take for anything that it has to do. */
  readonly patienceMs?: number;
  readonly signal: AbortSignal;
  /** Hears of each probe that has come to its end. */
  readonly onProgress?: (done: number, total: number, title: string) => void;
  /** Hears of what could not be put back. */
  readonly onLeftBehind?: (what: string) => void;
}

/** All clauses: those that bind a controller are said not to apply, unless a server shows its half. */
export function tcClauses(): readonly Clause[] {
  return readClauses('tc-clauses.json');
}

/**
 * Examines a TC server. What it changed is as it was when the promise settles.
 *
 * @throws ExaminationError `ERR_CONFORM_SERVER` when it is not reached or does not let one in; `signal.reason`
 */
export async function examineTc(options: TcOptions): Promise<readonly ClauseReport[]> {
  const { only, signal, onProgress = () => {}, onLeftBehind = () => {} } = options;
  const clauses = tcClauses().filter(({ id }) => only === undefined || only.includes(id));
  const selected = new Set(clauses.map(({ id }) => id));
  const lab = new TcLab({
    address: options.address,
    permissions: options.permissions ?? {},
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    signal,
    onLeftBehind,
    ...(options.secret !== undefined && { secret: options.secret }),
    ...(options.socks !== undefined && { socks: options.socks }),
  });
  const findings = new Findings();
  try {
    onProgress(0, 0, 'looking for what it knows');
    await lab.discover();
    const probes = chooseProbes(selected);
    for (const [index, probe] of probes.entries()) {
      signal.throwIfAborted();
      // One after the other: they change the same options.
      await runProbe(lab, probe, findings);
      lab.hangUp();
      await lab.restore();
      onProgress(index + 1, probes.length, probe.title);
    }
    judgeTranscript(lab.sessions, findings);
    for (const [ids, verdict, reason] of unjudged) findings.pass(ids, verdict, reason);
    return reportClauses(clauses, findings.list);
  } finally {
    await lab.close();
  }
}

const probes: readonly TcProbe[] = [
  ...messageProbes,
  ...authenticationProbes,
  ...configurationProbes,
  ...groupProbes,
  ...mappingProbes,
  ...eventProbes,
  ...connectionProbes,
  ...mappedConnectionProbes,
  ...signalProbes,
];

/** Only where they are asked for; the last of them ends the server. */
const drasticProbes: readonly TcProbe[] = [...floodProbes, ...lastProbes];

/** Where every message counts, those of all probes do that leave the server as it is. */
function chooseProbes(selected: ReadonlySet<string>): readonly TcProbe[] {
  const isChosen = ({ clauses }: TcProbe): boolean => clauses.some((id) => selected.has(id));
  const needsAll = transcriptClauses.some((id) => selected.has(id));
  return [...(needsAll ? probes : probes.filter(isChosen)), ...drasticProbes.filter(isChosen)];
}

async function runProbe(lab: TcLab, probe: TcProbe, findings: Findings): Promise<void> {
  try {
    await probe.run(lab, findings);
  } catch (error) {
    if (!(error instanceof ExaminationError)) throw error;
    findings.pass(probe.clauses.join(' '), 'not observable', error.message);
  }
}

/** What is left when no check had anything to say. */
const unjudged = [
  [
    'TC-2-05 TC-3.4-07 TC-3.8-01 TC-4.1-07',
    'not applicable',
    'it binds a controller, and here the kit is the controller',
  ],
  ['TC-1-02', 'not applicable', 'it permits, and asks nothing'],
  ['TC-3.1-03', 'not observable', 'nothing from outside makes it fail for a reason without a code'],
  [
    'TC-4.1-06',
    'not observable',
    'whether it runs with the configuration that it comes with cannot be seen',
  ],
  [
    'TC-4.2-01',
    'not observable',
    'sixteen megabytes of events are more than a server in use should be made to send; --flood allows it',
  ],
] as const;

/** What a server may take for an answer; the slowest on a loaded machine stays far below. */
const PATIENCE_MS = 10_000;
