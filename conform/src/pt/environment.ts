/** Starts that differ in the environment alone: what is refused, with which line, and what is taken. */
import type { Lab, Role } from '../lab.ts';
import type { Run, Variables } from '../run.ts';
import { type Outcome, type Row, rows } from './environment-rows.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeRun, isReady, isRefusal, messages } from './transcript.ts';

/** One probe for each row. */
export const environmentProbes: readonly Probe[] = rows.map(probeOf);

/** One start of each kind: enough to judge what every start must be like. */
export const sampleProbes: readonly Probe[] = rows
  .filter(
    (row, index) =>
      index === rows.findIndex(({ role, outcome }) => role === row.role && outcome === row.outcome),
  )
  .map(probeOf);

function probeOf(row: Row): Probe {
  return {
    clauses: [...row.clauses.split(' '), ...(row.text === undefined ? [] : [row.text.clause])],
    title: startedWith(row.role === 'any' ? 'client' : row.role, row.changes),
    needs: row.role,
    async run(lab, findings) {
      const role = row.role === 'any' ? lab.anyRole : row.role;
      const upstreamRefusal =
        row.outcome === 'PROXY DONE' ? await lab.upstreamRefusal() : undefined;
      if (upstreamRefusal !== undefined) {
        findings.pass(
          row.clauses,
          'not applicable',
          `it takes no SOCKS5 proxy: ${upstreamRefusal}`,
        );
        return;
      }
      const changes = fill(lab, role, row.changes);
      const run = await lab.settled({ ...lab.variables(role), ...changes });
      const holds = isOutcome(run, row, lab.mainName(role));
      const evidence = {
        sent: startedWith(role, changes),
        came: describeRun(run),
        expected: describeOutcome(row.outcome),
      };
      for (const clause of row.clauses.split(' ')) {
        // The order of version and the rest is one clause; what is refused is the others.
        const isInOrder = clause !== 'PT-3-05' || messages(run)[0] === 'VERSION 1';
        findings.judge(clause, holds && isInOrder, evidence);
      }
      const error = run.lines.find((line) => /^(?:VERSION|ENV|PROXY)-ERROR /.test(line));
      if (row.text !== undefined && error !== undefined) {
        const { clause, pattern, what } = row.text;
        findings.judge(clause, pattern.test(error), { ...evidence, expected: what });
      }
      await run.stop();
    },
  };
}

function fill(lab: Lab, role: Role, changes: Variables): Variables {
  return Object.fromEntries(
    Object.entries(changes).map(([name, value]) => [
      name,
      value?.replaceAll('$NAME', lab.mainName(role)),
    ]),
  );
}

function isOutcome(run: Run, { outcome }: Row, name: string): boolean {
  const [first = '', second = '', third = ''] = messages(run);
  const hasListener = run.methods.some(({ transport }) => transport === name);
  const isUpstreamTaken = isReady(run) && second === 'PROXY DONE' && third.startsWith('CMETHOD');
  switch (outcome) {
    case 'ready': {
      const hasProxyLine = run.lines.some((line) => line.startsWith('PROXY'));
      return isReady(run) && hasListener && !hasProxyLine;
    }
    case 'VERSION-ERROR':
      return (
        first.startsWith('VERSION-ERROR ') && run.lines.length === 1 && run.endedAfterError === true
      );
    case 'an error line, no VERSION':
      return (
        /^(?:ENV|VERSION)-ERROR ./.test(first) &&
        run.lines.length === 1 &&
        run.endedAfterError === true
      );
    case 'ENV-ERROR':
    case 'PROXY-ERROR':
      return isRefusal(run, outcome);
    case 'PROXY DONE':
      return isUpstreamTaken;
    case 'PROXY DONE or PROXY-ERROR':
      return isUpstreamTaken || isRefusal(run, 'PROXY-ERROR');
  }
}

function describeOutcome(outcome: Outcome): string {
  switch (outcome) {
    case 'ready':
      return 'VERSION 1 and a complete start, up to METHODS DONE';
    case 'VERSION-ERROR':
      return 'one line VERSION-ERROR, and the end';
    case 'an error line, no VERSION':
      return 'an error line without VERSION, and the end';
    case 'ENV-ERROR':
      return 'VERSION 1, one line ENV-ERROR, and the end';
    case 'PROXY-ERROR':
      return 'VERSION 1, one line PROXY-ERROR, and the end';
    case 'PROXY DONE':
      return 'VERSION 1, PROXY DONE, then the CMETHOD lines';
    case 'PROXY DONE or PROXY-ERROR':
      return 'VERSION 1, then PROXY DONE and a complete start, or PROXY-ERROR and the end';
  }
}
