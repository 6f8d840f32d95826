/** Which transports a start reports and which it passes over, for both roles. */
import type { Findings } from '../findings.ts';
import { listeningAt, type Role } from '../lab.ts';
import { formatEndpoint } from 'postern/pt';
import type { Run } from '../run.ts';
import { listeningAddresses } from '../sandbox.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeRun, isReady, mentions, messages, methodLines } from './transcript.ts';

/** The clauses that say the same for both roles, and how they are numbered in each. */
const twins = {
  client: {
    variable: 'TOR_PT_CLIENT_TRANSPORTS',
    requested: 'PT-3.2.2-01 PT-3.3.2-07',
    unknown: 'PT-3.2.2-02 PT-3.3.2-15',
    listeners: 'PT-3.3.2-06',
    done: 'PT-3.3.2-13 PT-3.3.2-14',
    keyword: 'CMETHOD',
  },
  server: {
    variable: 'TOR_PT_SERVER_TRANSPORTS',
    requested: 'PT-3.2.3-01 PT-3.3.3-02',
    unknown: 'PT-3.2.3-02',
    listeners: 'PT-3.3.3-01',
    done: 'PT-3.3.3-12 PT-3.3.3-13',
    keyword: 'SMETHOD',
  },
} as const;

const roles: readonly Role[] = ['client', 'server'];

const UNKNOWN = 'unknown_one';

const words = (text: string): readonly string[] => text.split(' ');

/** The transports that are asked for, one of them, and unknown ones, for each role. */
export const methodProbes: readonly Probe[] = roles.flatMap((role): readonly Probe[] => {
  const twin = twins[role];
  return [
    {
      clauses: words(
        `${twin.requested} ${twin.listeners} ${twin.done} PT-3.1-01 PT-2-05 PT-2-06 PT-3-06 PT-3-10`,
      ),
      title: `a ${role} with every transport`,
      needs: role,
      async run(lab, findings) {
        const names = lab.names(role);
        const run = await lab.settled(lab.variables(role, names));
        judgeMethods(findings, run, role, names);
        const listening = run.pid === undefined ? undefined : listeningAddresses(run.pid);
        if (listening === undefined) {
          findings.pass(twin.listeners, 'not observable', NO_PROC);
        } else {
          const reported = names
            .flatMap((name) => listeningAt(run, name) ?? [])
            .map(formatEndpoint);
          findings.judge(twin.listeners, sameSet(listening, reported), {
            sent: startedWith(role, {}),
            came: `it listens on ${listening.join(', ') || 'nothing'}`,
            expected: `listeners on exactly what it reports: ${reported.join(', ') || 'nothing'}`,
          });
        }
        await run.stop();
      },
    },
    {
      clauses: words(twin.requested),
      title: `a ${role} with one transport of several`,
      needs: role,
      async run(lab, findings) {
        const name = lab.names(role).at(-1)!;
        const run = await lab.settled(lab.variables(role, [name]));
        judgeMethods(findings, run, role, [name]);
        await run.stop();
        const twice = await lab.settled({
          ...lab.variables(role, [name]),
          [twin.variable]: `${name},${name}`,
        });
        findings.judge(words(twin.requested)[0]!, methodLines(twice, name) === 1, {
          sent: startedWith(role, { [twin.variable]: `${name},${name}` }),
          came: describeRun(twice),
          expected: `one ${twin.keyword} line for ${name}`,
        });
        await twice.stop();
      },
    },
    {
      clauses: words(
        `${twin.unknown} ${twin.done} PT-3.1-05 ${role === 'client' ? 'PT-3.3.2-16' : ''}`.trim(),
      ),
      title: `a ${role} with names that it does not know`,
      needs: role,
      async run(lab, findings) {
        const name = lab.mainName(role);
        const list = `${UNKNOWN},${name}`;
        const mixed = await lab.settled({ ...lab.variables(role), [twin.variable]: list });
        findings.judge(
          twin.unknown,
          isReady(mixed) && methodLines(mixed, name) === 1 && !mentions(mixed, UNKNOWN),
          {
            sent: startedWith(role, { [twin.variable]: list }),
            came: describeRun(mixed),
            expected: `a complete start with ${name} and no word about ${UNKNOWN}`,
          },
        );
        await mixed.stop();

        const alone = await lab.settled({
          ...lab.variables(role),
          [twin.variable]: UNKNOWN,
          ...(role === 'server' && { TOR_PT_SERVER_BINDADDR: `${UNKNOWN}-127.0.0.1:0` }),
        });
        const onlyDone = messages(alone).join('/') === `VERSION 1/${twin.keyword}S DONE`;
        const evidence = {
          sent: startedWith(role, { [twin.variable]: UNKNOWN }),
          came: describeRun(alone),
        };
        findings.judge(words(twin.done)[0]!, alone.isDone, {
          ...evidence,
          expected: `${twin.keyword}S DONE`,
        });
        if (role === 'client') {
          findings.judge('PT-3.3.2-16', onlyDone, {
            ...evidence,
            expected: `VERSION 1, then ${twin.keyword}S DONE`,
          });
        }
        await alone.stop();

        const long = `x${'y'.repeat(3000)}`;
        const both = await lab.settled({
          ...lab.variables(role),
          [twin.variable]: `${long},${name}`,
        });
        findings.judge('PT-3.1-05', isReady(both) && methodLines(both, name) === 1, {
          sent: startedWith(role, { [twin.variable]: `a name of 3001 characters, then ${name}` }),
          came: describeRun(both),
          expected: `a complete start with ${name}`,
        });
        await both.stop();
      },
    },
  ];
});

function judgeMethods(findings: Findings, run: Run, role: Role, names: readonly string[]): void {
  const twin = twins[role];
  const changes = { [twin.variable]: names.join(',') };
  const evidence = { sent: startedWith(role, changes), came: describeRun(run) };
  const reported = run.methods.map(({ transport }) => transport);
  findings.judge(`${twin.requested} PT-3.1-01`, sameSet(reported, names), {
    ...evidence,
    expected: `one method line for each of ${names.join(', ')}, and for nothing else`,
  });
  findings.judge(twin.done, messages(run).filter((line) => isDoneLine(line)).length === 1, {
    ...evidence,
    expected: `one line ${twin.keyword}S DONE`,
  });
  findings.judge(
    'PT-2-06 PT-3-06',
    run.isDone &&
      run.methods.every(({ keyword }) => keyword.startsWith(twin.keyword)) &&
      messages(run).at(-1) === `${twin.keyword}S DONE`,
    { ...evidence, expected: `a complete start as a ${role}, with ${twin.keyword} lines alone` },
  );
  findings.judge('PT-2-05', isReady(run), {
    ...evidence,
    expected: 'a complete start from environment variables alone',
  });
}

function isDoneLine(line: string): boolean {
  return line === 'CMETHODS DONE' || line === 'SMETHODS DONE';
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && [...a].sort().join() === [...b].sort().join();
}

const NO_PROC = 'this system does not say on which addresses a process listens';
