/** How it ends: by the end of stdin, by SIGTERM, by its parent's death, and not at all. */
import type { Role } from '../clauses.ts';
import type { PtCheck } from './check.ts';
import { Pair } from './pair.ts';
import { byRun, describeEnd } from './transcript.ts';

const STDIN_VARIABLE = 'TOR_PT_EXIT_ON_STDIN_CLOSE';

/** Values that do not ask for an end with stdin. */
const otherValues: readonly (string | undefined)[] = [undefined, '', '0', 'true', '01'];

const staying: readonly PtCheck[] = otherValues.map((value) => ({
  clauses: 'PT-3.2.1-14 PT-3.4-06',
  title: `stdin at its end, with ${STDIN_VARIABLE} ${value === undefined ? 'unset' : `"${value}"`}`,
  needs: 'any',
  async run(lab) {
    const role = lab.anyRole;
    const changes = { [STDIN_VARIABLE]: value };
    await using closed = await lab.settled(role, changes, { stdin: 'none' });
    await using later = await lab.settled(role, changes);
    later.stdin?.end();
    await Promise.all([closed, later].map((run) => run.ends(lab.quiet)));
    for (const [run, when] of [
      [closed, 'at its end from the start'],
      [later, 'closed after the start'],
    ] as const) {
      using wire = await lab.dial(run, lab.mainName(role));
      const serves = run.isDone && run.end === undefined && wire !== undefined;
      const judge = byRun(lab, run, `${run.what}, stdin ${when}`);
      judge('PT-3.2.1-14 PT-3.4-06', serves, 'a proxy that goes on serving');
    }
  },
}));

const IN_TIME = 'exit 0 within the time of patience';
const BY_ITSELF = 'exit 0: it ends by itself and is not killed by the signal';

const stdinEnd = (role: Role): PtCheck => ({
  clauses: 'PT-3.2.1-15 PT-3.4-06 PT-3-12',
  title: `the end of stdin, to a ${role}`,
  needs: role,
  async run(lab) {
    await using run = await lab.settled(role);
    using talking = await lab.dial(run, lab.mainName(role));
    run.stdin?.write('bytes without meaning\n');
    const isHasty = await run.ends(lab.quiet);
    const goesOn = 'a proxy that goes on: only the end of stdin counts';
    const bytes = `${run.what}, bytes on stdin and no end of it`;
    lab.on(bytes, describeEnd(run))('PT-3.2.1-15', !isHasty, goesOn);

    const sent = `${run.what}, a connection, then the end of stdin`;
    await run.endsWithStdin(lab.patience);
    const judge = lab.on(sent, describeEnd(run));
    judge('PT-3.2.1-15 PT-3.4-06 PT-3-12', run.end?.exitCode === 0, IN_TIME);
    const end = (await talking?.ending(lab.patience)) ?? 'closed';
    const judgeEnd = lab.on(sent, `the connection: ${end}`);
    judgeEnd('PT-3-12', end !== 'silent', 'the connection closed with the process');
  },
});

const sigterm = (role: Role): PtCheck => ({
  clauses: 'PT-3.4-07 PT-3-12',
  title: `SIGTERM to a ${role}`,
  needs: role,
  async run(lab) {
    await using idle = await lab.settled(role);
    await using busy = await lab.settled(role);
    using _talking = await lab.dial(busy, lab.mainName(role));
    // More than one: whether a signal is lost at this point may be a matter of luck.
    const early = Array.from({ length: EARLY_STARTS }, () =>
      lab.start(role, {}, { names: lab.names(role) }),
    );
    const ended = early.map(async (run) => {
      await run.until(() => run.lines.length > 0 || run.end !== undefined, lab.patience);
      run.signal('SIGTERM');
      await run.ends(lab.patience);
    });
    await Promise.all(ended);
    for (const run of early) {
      const judge = lab.on(
        `a ${role} launch, SIGTERM right after its first line`,
        describeEnd(run),
      );
      judge('PT-3.4-07', run.end?.exitCode === 0, BY_ITSELF);
      await run.stop();
    }
    for (const [run, when] of [
      [idle, 'when idle'],
      [busy, 'with a connection open'],
    ] as const) {
      run.signal('SIGTERM');
      await run.ends(lab.patience);
      const judge = lab.on(`${run.what}, SIGTERM ${when}`, describeEnd(run));
      judge('PT-3.4-07 PT-3-12', run.end?.exitCode === 0, BY_ITSELF);
    }
  },
});

const orphaned = (role: Role): PtCheck => ({
  clauses: 'PT-3.4-08',
  title: `the death of the parent of a ${role}`,
  needs: role,
  async run(lab) {
    if (process.platform === 'win32') return;
    for (const value of ['1', undefined]) {
      const changes = { [STDIN_VARIABLE]: value };
      await using run = await lab.settled(role, changes, { hasMiddleman: true });
      await run.killParent(lab.patience);
      await run.ends(lab.patience);
      lab.judge('PT-3.4-08', run.isDone && run.end !== undefined, {
        sent: `${run.what}; its parent killed, stdin held open`,
        came: run.end === undefined ? 'still running' : 'it ended',
        expected: 'the end of the process within a few seconds',
      });
    }
  },
});

const transfer: PtCheck = {
  clauses: 'PT-3.4-06 PT-3-12',
  title: 'the end of stdin during a transfer',
  needs: 'pair',
  async run(lab) {
    await using pair = await Pair.open(lab);
    await pair.carries(await pair.connect(), 'before the end');
    const second = await pair.connect();
    const sent = 'the end of stdin in the middle of a connection';
    for (const run of [pair.client, pair.server]) {
      await run.endsWithStdin(lab.patience);
      const judge = lab.on(sent, describeEnd(run));
      judge('PT-3.4-06 PT-3-12', run.end?.exitCode === 0, IN_TIME);
    }
    const ending = await second.app.ending(lab.patience);
    const judge = lab.on(sent, `the application’s connection: ${ending}`);
    judge('PT-3-12', ending !== 'silent', 'the connection closed');
  },
};

export const endingChecks: readonly PtCheck[] = [
  ...staying,
  ...(['client', 'server'] as const).flatMap((role) => [
    stdinEnd(role),
    sigterm(role),
    orphaned(role),
  ]),
  transfer,
];

const EARLY_STARTS = 4;
