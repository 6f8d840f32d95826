/** What a start does with its state directory: makes it, keeps to it, says when it cannot. */
import { existsSync, statSync } from 'node:fs';
import type { PtCheck } from './check.ts';
import type { Run } from './run.ts';
import { byRun, isReady, methodLines } from './transcript.ts';

const kept: PtCheck = {
  clauses: 'PT-3.2.1-08 PT-3.2.1-09 PT-3.2.1-10',
  title: 'the state directory, fresh and again',
  needs: 'any',
  async run(lab) {
    const role = lab.has('server') ? 'server' : 'client';
    const name = lab.mainName(role);
    await using first = await lab.settled(role);
    const { state } = first.sandbox;
    const sent = `${first.what}; neither the state directory nor the one above it exists`;
    const isStarted = isReady(first) && methodLines(first, name) === 1;
    byRun(lab, first, sent)('PT-3.2.1-09', isStarted, 'a complete start');
    if (existsSync(state)) {
      const mode = statSync(state).mode & 0o777;
      const judge = lab.on(sent, `it made the directory with mode ${mode.toString(8)}`);
      judge('PT-3.2.1-10', (mode & 0o077) === 0, 'a directory for its owner only (mode 700)');
    } else {
      lab.pass('PT-3.2.1-10', 'it kept no state');
    }
    const published = argsOf(first, name);
    await first.endsWithStdin(lab.patience);
    await first.stop();

    if (role === 'client' || published === '' || lab.facts.server.get(name)!.length === 0) {
      lab.pass('PT-3.2.1-08', 'it publishes nothing that its state would keep');
      return;
    }
    await using again = await lab.settled(role, {}, { state });
    await using elsewhere = await lab.settled(role);
    const [same, other] = [argsOf(again, name), argsOf(elsewhere, name)];
    lab.judge('PT-3.2.1-08', same === published && other !== published, {
      sent: `${name} started twice with one state directory, once with another`,
      came: [published, same, other].join(' / '),
      expected: 'the same ARGS with the same state, and others without',
    });
  },
};

const impossible: PtCheck = {
  clauses: 'PT-3.2.1-10',
  title: 'a state directory that cannot be made',
  needs: 'any',
  async run(lab) {
    const role = lab.has('server') ? 'server' : 'client';
    const location = { TOR_PT_STATE_LOCATION: '/dev/null/pt_state' };
    await using run = await lab.settled(role, location);
    const says =
      run.lines.some((line) => /^(?:ENV-ERROR|[CS]METHOD-ERROR \S+) ./.test(line)) ||
      methodLines(run, lab.mainName(role)) === 1;
    byRun(lab, run)(
      'PT-3.2.1-10',
      says && (run.isDone || run.end !== undefined),
      'an error line for the transport or ENV-ERROR; or a start, if no state is needed',
    );
  },
};

/** Starts that differ in TOR_PT_STATE_LOCATION alone. */
export const stateChecks: readonly PtCheck[] = [kept, impossible];

/** What stands behind ARGS: in a server's method line; empty without it. */
function argsOf(run: Run, name: string): string {
  const line = run.lines.find((text) => text.startsWith(`SMETHOD ${name} `)) ?? '';
  return /ARGS:.*/.exec(line)?.[0] ?? '';
}
