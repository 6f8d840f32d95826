/** `postern-conform tc`: every clause that the outside can see of a TC server. */
import { type Clause, readClauses } from '../clauses.ts';
import { examine } from '../examine.ts';
import type { ClauseReport } from '../findings.ts';
import { authenticationChecks } from './authentication.ts';
import { configurationChecks } from './configuration.ts';
import { eventChecks } from './events.ts';
import { connectionChecks } from './connections.ts';
import { floodChecks } from './flood.ts';
import { groupChecks } from './groups.ts';
import { TcLab, type TcOptions } from './lab.ts';
import { mappedConnectionChecks } from './mapped-connections.ts';
import { mappingChecks } from './mappings.ts';
import { messageChecks } from './messages.ts';
import type { TcCheck } from './check.ts';
import { lastChecks, signalChecks } from './signals.ts';
import { judgeTranscript, transcriptClauses } from './transcript.ts';

export type { TcOptions } from './lab.ts';

/** All clauses: those that bind a controller are said not to apply, unless a server shows its half. */
export function tcClauses(): readonly Clause[] {
  return readClauses('tc-clauses.json');
}

/**
 * Examines a TC server. What it changed is as it was when the promise settles.
 *
 * @throws ExaminationError `ERR_CONFORM_SERVER` when it is not reached or does not let one in; `signal.reason`
 */
export function examineTc(options: TcOptions): Promise<readonly ClauseReport[]> {
  const lab = new TcLab(options);
  return examine(options, {
    clauses: tcClauses(),
    lab,
    // One after the other: they change the same options.
    jobs: 1,
    first: 'looking for what it knows',
    async discover() {
      await lab.discover();
      return [...gentleChecks, ...drasticChecks];
    },
    async settle() {
      lab.hangUp();
      await lab.restore();
    },
    overall: {
      clauses: transcriptClauses,
      checks: new Set(gentleChecks),
      judge: (findings) => judgeTranscript(lab.sessions, findings),
    },
    unjudged,
  });
}

/** These leave the server as it is; the transcript of all of them is judged as well. */
const gentleChecks: readonly TcCheck[] = [
  ...messageChecks,
  ...authenticationChecks,
  ...configurationChecks,
  ...groupChecks,
  ...mappingChecks,
  ...eventChecks,
  ...connectionChecks,
  ...mappedConnectionChecks,
  ...signalChecks,
];

/** Only where they are asked for; the last of them ends the server. */
const drasticChecks: readonly TcCheck[] = [...floodChecks, ...lastChecks];

/** Verdicts for clauses that no check has judged. */
const unjudged = [
  [
    'TC-2-05 TC-3.4-07 TC-3.8-01 TC-4.1-07',
    'it binds a controller, and here the kit is the controller',
    'not applicable',
  ],
  ['TC-1-02', 'it permits, and asks nothing', 'not applicable'],
  ['TC-3.1-03', 'nothing from outside makes it fail for a reason without a code'],
  ['TC-4.1-06', 'whether it runs with the configuration that it comes with cannot be seen'],
  [
    'TC-4.2-01',
    'sixteen megabytes of events are more than a server in use should be made to send; --flood allows it',
  ],
] as const;
