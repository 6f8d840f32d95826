/** How a parent ends its PT: close stdin, wait, ask, kill. */
import type { Findings } from '../findings.ts';
import type { Stage } from './stage.ts';

/** How the fake PT takes being ended. */
export type Manner = 'leaves late' | 'waits for SIGTERM' | 'refuses to die';

export const manners: readonly Manner[] = ['leaves late', 'waits for SIGTERM', 'refuses to die'];

/** The clauses that `judgeStop` judges. */
export const stopClauses = 'PT-3.4-02 PT-3.4-03 PT-3.4-04 PT-3.4-05 PT-3.2.1-13';

/** Asks the parent to end, and watches what it does with the PT. */
export async function judgeStop(
  stage: Stage,
  manner: Manner,
  timeoutMs: number,
  findings: Findings,
): Promise<void> {
  const wasOpen = !stage.has('stdin end');
  stage.stopParent();
  const told = await stage.until(
    () => stage.has('stdin end') || stage.has('SIGTERM') || stage.has('gone'),
    timeoutMs,
  );
  if (manner === 'leaves late' && told) {
    await stage.until(() => stage.has('SIGTERM') || stage.has('gone'), CLEANUP_MS);
    stage.order({ type: 'exit', code: 0 });
  } else if (manner === 'waits for SIGTERM') {
    await stage.until(() => stage.has('SIGTERM') || stage.has('gone'), timeoutMs);
    stage.order({ type: 'exit', code: 0 });
  }
  await stage.until(() => stage.has('gone'), timeoutMs);

  const order = stage.events.map(({ event }) => event);
  const evidence = {
    sent: `SIGTERM to the parent of a PT that ${manner}`,
    came: order.length === 0 ? 'nothing happened to the PT' : `to the PT: ${describe(stage)}`,
  };
  if (manner === 'leaves late') {
    findings.judge('PT-3.4-02', order[0] === 'stdin end', {
      ...evidence,
      expected: 'the end of its stdin first',
    });
    findings.judge('PT-3.2.1-13', wasOpen && order.includes('stdin end'), {
      ...evidence,
      expected: 'a stdin that is open while it runs, and closed to end it',
    });
    findings.judge('PT-3.4-03', order[0] === 'stdin end' && !order.includes('SIGTERM'), {
      ...evidence,
      expected: `time to clean up, ${CLEANUP_MS} ms at least, before anything else`,
    });
  } else if (manner === 'waits for SIGTERM') {
    const [first, second] = stage.events;
    const waited = (second?.atMs ?? 0) - (first?.atMs ?? 0);
    const isLadder = first?.event === 'stdin end' && second?.event === 'SIGTERM';
    findings.judge('PT-3.4-04', isLadder && waited >= CLEANUP_MS, {
      ...evidence,
      expected: 'the end of stdin, some time, then SIGTERM',
    });
  } else {
    findings.judge('PT-3.4-05', order.at(-1) === 'gone', {
      ...evidence,
      expected: 'a kill, after the gentler ways',
    });
  }
}

function describe({ events }: Stage): string {
  const start = events[0]!.atMs;
  return events.map(({ event, atMs }) => `${event} (after ${atMs - start} ms)`).join(', ');
}

/** What a PT may reasonably need to clean up. */
const CLEANUP_MS = 200;
