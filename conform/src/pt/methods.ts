/** Which transports a start reports and which it passes over, for both roles. */
import { formatEndpoint } from 'postern/pt';
import type { Role } from '../clauses.ts';
import { listeningAddresses } from '../sandbox.ts';
import type { PtCheck } from './check.ts';
import { listeningAt, listVariables, type PtLab } from './lab.ts';
import type { Run } from './run.ts';
import { byRun, isReady, messages, methodLines } from './transcript.ts';

/** The clauses that say the same for both roles, and how they are numbered in each. */
const twins = {
  client: {
    requested: 'PT-3.2.2-01 PT-3.3.2-07',
    unknown: 'PT-3.2.2-02 PT-3.3.2-15',
    listeners: 'PT-3.3.2-06',
    done: 'PT-3.3.2-13 PT-3.3.2-14',
    alone: 'PT-3.3.2-16',
    keyword: 'CMETHOD',
  },
  server: {
    requested: 'PT-3.2.3-01 PT-3.3.3-02',
    unknown: 'PT-3.2.3-02',
    listeners: 'PT-3.3.3-01',
    done: 'PT-3.3.3-12 PT-3.3.3-13',
    alone: '',
    keyword: 'SMETHOD',
  },
} as const;

const UNKNOWN = 'unknown_one';

function everyTransport(role: Role): PtCheck {
  const { requested, listeners, done } = twins[role];
  return {
    clauses: `${requested} ${listeners} ${done} PT-3.1-01 PT-2-05 PT-2-06 PT-3-06 PT-3-10`,
    title: `a ${role} with every transport`,
    needs: role,
    async run(lab) {
      const names = lab.names(role);
      await using run = await lab.settled(role, {}, { names });
      judgeMethods(lab, run, role, names);
      const listening = run.pid === undefined ? undefined : listeningAddresses(run.pid);
      if (listening === undefined) {
        lab.pass(listeners, NO_PROC);
        return;
      }
      const reported = names.flatMap((name) => listeningAt(run, name) ?? []).map(formatEndpoint);
      const judge = lab.on(run.what, `it listens on ${listening.join(', ') || 'nothing'}`);
      const expected = `listeners on exactly what it reports: ${reported.join(', ') || 'nothing'}`;
      judge(listeners, sameSet(listening, reported), expected);
    },
  };
}

function oneTransport(role: Role): PtCheck {
  const { requested, keyword } = twins[role];
  const one = requested.split(' ')[0]!;
  return {
    clauses: requested,
    title: `a ${role} with one transport of several`,
    needs: role,
    async run(lab) {
      const name = lab.names(role).at(-1)!;
      await using run = await lab.settled(role, {}, { names: [name] });
      judgeMethods(lab, run, role, [name]);
      const names = `${name},${name}`;
      await using twice = await lab.settled(
        role,
        { [listVariables[role]]: names },
        { names: [name] },
      );
      const isOnce = methodLines(twice, name) === 1;
      byRun(lab, twice)(one, isOnce, `one ${keyword} line for ${name}`);
    },
  };
}

function unknownTransports(role: Role): PtCheck {
  const { unknown, done, alone, keyword } = twins[role];
  return {
    clauses: `${unknown} ${done} PT-3.1-05 ${alone}`.trim(),
    title: `a ${role} with names that it does not know`,
    needs: role,
    async run(lab) {
      const name = lab.mainName(role);
      const startOf = (list: string): Promise<Run> =>
        lab.settled(role, {
          [listVariables[role]]: list,
          ...(role === 'server' &&
            list === UNKNOWN && { TOR_PT_SERVER_BINDADDR: `${UNKNOWN}-127.0.0.1:0` }),
        });
      await using mixed = await startOf(`${UNKNOWN},${name}`);
      const isMixed = isReady(mixed) && methodLines(mixed, name) === 1;
      const expected = `a complete start with ${name}`;
      const silence = `${expected} and no word about ${UNKNOWN}`;
      const isSilent = !mixed.lines.some((line) => line.split(' ').includes(UNKNOWN));
      byRun(lab, mixed)(unknown, isMixed && isSilent, silence);

      await using none = await startOf(UNKNOWN);
      const onlyDone = messages(none).join('/') === `VERSION 1/${keyword}S DONE`;
      const judge = byRun(lab, none);
      judge(done.split(' ')[0]!, none.isDone, `${keyword}S DONE`);
      if (alone !== '') judge(alone, onlyDone, `VERSION 1, then ${keyword}S DONE`);

      await using both = await startOf(`x${'y'.repeat(3000)},${name}`);
      const isBoth = isReady(both) && methodLines(both, name) === 1;
      byRun(lab, both)('PT-3.1-05', isBoth, expected);
    },
  };
}

/** The transports that are asked for, one of them, and unknown ones, for each role. */
export const methodChecks: readonly PtCheck[] = (['client', 'server'] as const).flatMap((role) => [
  everyTransport(role),
  oneTransport(role),
  unknownTransports(role),
]);

function judgeMethods(lab: PtLab, run: Run, role: Role, names: readonly string[]): void {
  const { requested, done, keyword } = twins[role];
  const judge = byRun(lab, run);
  const reported = run.methods.map(({ transport }) => transport);
  const each = `one method line for each of ${names.join(', ')}, and for nothing else`;
  judge(`${requested} PT-3.1-01`, sameSet(reported, names), each);
  const dones = messages(run).filter((line) => /^[CS]METHODS DONE$/.test(line));
  judge(done, dones.length === 1, `one line ${keyword}S DONE`);
  judge(
    'PT-2-06 PT-3-06',
    run.isDone &&
      run.methods.every((method) => method.keyword.startsWith(keyword)) &&
      messages(run).at(-1) === `${keyword}S DONE`,
    `a complete start as a ${role}, with ${keyword} lines alone`,
  );
  judge('PT-2-05', isReady(run), 'a complete start from environment variables alone');
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && [...a].sort().join() === [...b].sort().join();
}

const NO_PROC = 'this system does not say on which addresses a process listens';
