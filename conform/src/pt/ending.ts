/** How it ends: by the end of stdin, by SIGTERM, by its parent's death, and not at all. */
import { listeningAt, type Role } from '../lab.ts';
import type { Time } from '../patience.ts';
import type { Run } from '../run.ts';
import { dialWire, type Wire } from '../wire.ts';
import { Pair } from './pair.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeEnd, describeRun } from './transcript.ts';

const STDIN_VARIABLE = 'TOR_PT_EXIT_ON_STDIN_CLOSE';

/** Values that do not ask for an end with stdin. */
const otherValues: readonly (string | undefined)[] = [undefined, '', '0', 'true', '01'];

const staying: readonly Probe[] = otherValues.map((value) => ({
  clauses: ['PT-3.2.1-14', 'PT-3.4-06'],
  title: `stdin at its end, with ${STDIN_VARIABLE} ${value === undefined ? 'unset' : `"${value}"`}`,
  needs: 'any',
  async run(lab, findings) {
    const role = lab.anyRole;
    const variables = { ...lab.variables(role), [STDIN_VARIABLE]: value };
    const closed = await lab.settled(variables, { stdin: 'none' });
    const later = await lab.settled(variables);
    later.stdin?.end();
    await Promise.all([closed, later].map((run) => run.ends(lab.quiet)));
    for (const [run, when] of [
      [closed, 'at its end from the start'],
      [later, 'closed after the start'],
    ] as const) {
      const serves = await accepts(run, lab.mainName(role), lab.patience);
      findings.judge('PT-3.2.1-14 PT-3.4-06', run.isDone && run.end === undefined && serves, {
        sent: `${startedWith(role, { [STDIN_VARIABLE]: value })}, stdin ${when}`,
        came: describeRun(run),
        expected: 'a proxy that goes on serving',
      });
      await run.stop();
    }
  },
}));

const roles: readonly Role[] = ['client', 'server'];

const leaving: readonly Probe[] = roles.flatMap((role): readonly Probe[] => [
  {
    clauses: ['PT-3.2.1-15', 'PT-3.4-06', 'PT-3-12'],
    title: `the end of stdin, to a ${role}`,
    needs: role,
    async run(lab, findings) {
      const run = await lab.settled(lab.variables(role));
      const talking = await openIdle(run, lab.mainName(role), lab.patience);
      run.stdin?.write('bytes without meaning\n');
      const wasHasty = await run.ends(lab.quiet);
      findings.judge('PT-3.2.1-15', !wasHasty, {
        sent: `${startedWith(role, {})}, bytes on stdin and no end of it`,
        came: describeEnd(run),
        expected: 'a proxy that goes on: only the end of stdin counts',
      });
      run.stdin?.end();
      await run.ends(lab.patience);
      findings.judge('PT-3.2.1-15 PT-3.4-06 PT-3-12', run.end?.exitCode === 0, {
        sent: `${startedWith(role, {})}, a connection, then the end of stdin`,
        came: describeEnd(run),
        expected: 'exit 0 within the time of patience',
      });
      const ending = talking === undefined ? 'closed' : await talking.ending(lab.patience);
      findings.judge('PT-3-12', ending !== 'silent', {
        sent: `${startedWith(role, {})}, a connection, then the end of stdin`,
        came: `the connection: ${ending}`,
        expected: 'the connection closed with the process',
      });
      talking?.close();
      await run.stop();
    },
  },
  {
    clauses: ['PT-3.4-07', 'PT-3-12'],
    title: `SIGTERM to a ${role}`,
    needs: role,
    async run(lab, findings) {
      const idle = await lab.settled(lab.variables(role));
      const busy = await lab.settled(lab.variables(role));
      // More than one: whether a signal is lost at this point may be a matter of luck.
      const early = Array.from({ length: EARLY_STARTS }, () =>
        lab.start(lab.variables(role, lab.names(role))),
      );
      const talking = await openIdle(busy, lab.mainName(role), lab.patience);
      const ended = early.map(async (run) => {
        await run.until(() => run.lines.length > 0 || run.end !== undefined, lab.patience);
        run.signal('SIGTERM');
        await run.ends(lab.patience);
      });
      await Promise.all(ended);
      for (const run of early) {
        findings.judge('PT-3.4-07', run.end?.exitCode === 0, {
          sent: `${startedWith(role, {})}, SIGTERM right after its first line`,
          came: describeEnd(run),
          expected: 'exit 0: it ends by itself and is not killed by the signal',
        });
        await run.stop();
      }
      for (const [run, when] of [
        [idle, 'when idle'],
        [busy, 'with a connection open'],
      ] as const) {
        run.signal('SIGTERM');
        await run.ends(lab.patience);
        findings.judge('PT-3.4-07 PT-3-12', run.end?.exitCode === 0, {
          sent: `${startedWith(role, {})}, SIGTERM ${when}`,
          came: describeEnd(run),
          expected: 'exit 0: it ends by itself and is not killed by the signal',
        });
        await run.stop();
      }
      talking?.close();
    },
  },
  {
    clauses: ['PT-3.4-08'],
    title: `the death of the parent of a ${role}`,
    needs: role,
    async run(lab, findings) {
      if (process.platform === 'win32') return;
      for (const value of ['1', undefined]) {
        const changes = { [STDIN_VARIABLE]: value };
        const run = await lab.settled(
          { ...lab.variables(role), ...changes },
          { hasMiddleman: true },
        );
        await run.killParent(lab.patience);
        await run.ends(lab.patience);
        findings.judge('PT-3.4-08', run.isDone && run.end !== undefined, {
          sent: `${startedWith(role, changes)}; its parent killed, stdin held open`,
          came: run.end === undefined ? 'still running' : 'it ended',
          expected: 'the end of the process within a few seconds',
        });
        await run.stop();
      }
    },
  },
]);

const transfer: Probe = {
  clauses: ['PT-3.4-06', 'PT-3-12'],
  title: 'the end of stdin during a transfer',
  needs: 'pair',
  async run(lab, findings) {
    const pair = await Pair.open(lab);
    try {
      const connection = await pair.connect();
      await pair.carries(connection, 'before the end');
      const second = await pair.connect();
      for (const run of [pair.client, pair.server]) {
        run.stdin?.end();
        await run.ends(lab.patience);
        findings.judge('PT-3.4-06 PT-3-12', run.end?.exitCode === 0, {
          sent: 'the end of stdin in the middle of a connection',
          came: describeEnd(run),
          expected: 'exit 0 within the time of patience',
        });
      }
      const ending = await second.app.ending(lab.patience);
      findings.judge('PT-3-12', ending !== 'silent', {
        sent: 'the end of stdin in the middle of a connection',
        came: `the application’s connection: ${ending}`,
        expected: 'the connection closed',
      });
    } finally {
      await pair.close();
    }
  },
};

export const endingProbes: readonly Probe[] = [...staying, ...leaving, transfer];

const EARLY_STARTS = 4;

async function openIdle(run: Run, name: string, time: Time): Promise<Wire | undefined> {
  const endpoint = listeningAt(run, name);
  const wire = endpoint === undefined ? 'closed' : await dialWire(endpoint, time);
  return typeof wire === 'string' ? undefined : wire;
}

async function accepts(run: Run, name: string, time: Time): Promise<boolean> {
  const wire = await openIdle(run, name, time);
  wire?.close();
  return wire !== undefined;
}
