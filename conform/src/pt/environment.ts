/** Starts that differ in the environment alone: what is refused, with which line, and what is taken. */
import type { Role } from '../clauses.ts';
import type { PtLab } from './lab.ts';
import type { Run, Variables } from './run.ts';
import { type Outcome, type Row, rows } from './environment-rows.ts';
import type { PtCheck } from './check.ts';
import { byRun, isReady, isRefusal, messages, startedWith } from './transcript.ts';

/** One check for each row. */
export const environmentChecks: readonly PtCheck[] = rows.map(checkOf);

/** One start of each kind: enough to judge what every start must be like. */
export const sampleChecks: readonly PtCheck[] = environmentChecks.filter((_, index) => {
  const row = rows[index]!;
  return (
    index === rows.findIndex(({ role, outcome }) => role === row.role && outcome === row.outcome)
  );
});

function checkOf(row: Row): PtCheck {
  return {
    clauses: `${row.clauses} ${row.text?.clause ?? ''}`.trim(),
    title: startedWith(row.role === 'any' ? 'client' : row.role, row.changes),
    needs: row.role,
    async run(lab) {
      const role = row.role === 'any' ? lab.anyRole : row.role;
      const upstreamRefusal =
        row.outcome === 'PROXY DONE' ? await lab.upstreamRefusal() : undefined;
      if (upstreamRefusal !== undefined) {
        lab.pass(row.clauses, `it takes no SOCKS5 proxy: ${upstreamRefusal}`, 'not applicable');
        return;
      }
      const changes = fill(lab, role, row.changes);
      await using run = await lab.settled(role, changes);
      const holds = isOutcome(run, row, lab.mainName(role));
      const judge = byRun(lab, run);
      for (const clause of row.clauses.split(' ')) {
        // The order of version and the rest is one clause; what is refused is the others.
        const isInOrder = clause !== 'PT-3-05' || messages(run)[0] === 'VERSION 1';
        judge(clause, holds && isInOrder, expectations[row.outcome]);
      }
      const error = run.lines.find((line) => /^(?:VERSION|ENV|PROXY)-ERROR /.test(line));
      if (row.text !== undefined && error !== undefined) {
        const { clause, pattern, what } = row.text;
        judge(clause, pattern.test(error), what);
      }
    },
  };
}

function fill(lab: PtLab, role: Role, changes: Variables): Variables {
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

const expectations: Readonly<Record<Outcome, string>> = {
  ready: 'VERSION 1 and a complete start, up to METHODS DONE',
  'VERSION-ERROR': 'one line VERSION-ERROR, and the end',
  'an error line, no VERSION': 'an error line without VERSION, and the end',
  'ENV-ERROR': 'VERSION 1, one line ENV-ERROR, and the end',
  'PROXY-ERROR': 'VERSION 1, one line PROXY-ERROR, and the end',
  'PROXY DONE': 'VERSION 1, PROXY DONE, then the CMETHOD lines',
  'PROXY DONE or PROXY-ERROR':
    'VERSION 1, then PROXY DONE and a complete start, or PROXY-ERROR and the end',
};
