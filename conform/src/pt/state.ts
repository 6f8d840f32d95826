/** What a start does with its state directory: makes it, keeps to it, says when it cannot. */
import { existsSync, statSync } from 'node:fs';
import type { Role } from '../lab.ts';
import type { Run } from '../run.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeRun, isReady, methodLines } from './transcript.ts';

/** Starts that differ in TOR_PT_STATE_LOCATION alone. */
export const stateProbe: Probe = {
  clauses: ['PT-3.2.1-08', 'PT-3.2.1-09', 'PT-3.2.1-10'],
  title: 'the state directory, fresh, again and impossible',
  needs: 'any',
  async run(lab, findings) {
    const role: Role = lab.has('server') ? 'server' : 'client';
    const name = lab.mainName(role);
    const first = await lab.settled(lab.variables(role));
    const { state } = first.sandbox;
    const evidence = {
      sent: `${startedWith(role, {})}; neither the state directory nor the one above it exists`,
      came: describeRun(first),
    };
    findings.judge('PT-3.2.1-09', isReady(first) && methodLines(first, name) === 1, {
      ...evidence,
      expected: 'a complete start',
    });
    if (existsSync(state)) {
      const mode = statSync(state).mode & 0o777;
      findings.judge('PT-3.2.1-10', (mode & 0o077) === 0, {
        ...evidence,
        came: `it made the directory with mode ${mode.toString(8)}`,
        expected: 'a directory for its owner only (mode 700)',
      });
    } else {
      findings.pass('PT-3.2.1-10', 'not observable', 'it kept no state');
    }
    const published = lineOf(first, name);
    first.stdin?.end();
    await first.ends(lab.patience);
    await first.stop();

    if (
      role === 'client' ||
      !published.includes('ARGS:') ||
      lab.facts.server.get(name)!.length === 0
    ) {
      findings.pass(
        'PT-3.2.1-08',
        'not observable',
        'it publishes nothing that its state would keep',
      );
    } else {
      const again = await lab.settled(lab.variables(role), { state });
      const elsewhere = await lab.settled(lab.variables(role));
      const args = (line: string): string => line.slice(line.indexOf('ARGS:'));
      findings.judge(
        'PT-3.2.1-08',
        args(lineOf(again, name)) === args(published) &&
          args(lineOf(elsewhere, name)) !== args(published),
        {
          sent: `${name} started twice with one state directory, once with another`,
          came: [published, lineOf(again, name), lineOf(elsewhere, name)].map(args).join(' / '),
          expected: 'the same ARGS with the same state, and others without',
        },
      );
      await Promise.all([again.stop(), elsewhere.stop()]);
    }

    const impossible = { TOR_PT_STATE_LOCATION: '/dev/null/pt_state' };
    const failed = await lab.settled({ ...lab.variables(role), ...impossible });
    const says =
      failed.lines.some((line) => /^(?:ENV-ERROR|[CS]METHOD-ERROR \S+) ./.test(line)) ||
      methodLines(failed, name) === 1;
    const isOver = failed.isDone || failed.end !== undefined;
    findings.judge('PT-3.2.1-10', says && isOver, {
      sent: startedWith(role, impossible),
      came: describeRun(failed),
      expected: 'an error line for the transport or ENV-ERROR; or a start, if no state is needed',
    });
    await failed.stop();
  },
};

function lineOf(run: Run, name: string): string {
  return run.lines.find((line) => line.startsWith(`SMETHOD ${name} `)) ?? '';
}
