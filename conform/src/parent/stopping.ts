/** How a parent ends its PT: close stdin, wait, ask, kill. */
import type { Findings } from '../findings.ts';
import type { Allowance } from '../patience.ts';
import type { ParentRun } from './run.ts';

/** How the fake PT takes being ended. */
export type Manner = 'leaves late' | 'waits for SIGTERM' | 'refuses to die';

export const manners: readonly Manner[] = ['leaves late', 'waits for SIGTERM', 'refuses to die'];

/** The clauses that `judgeStop` judges. */
export const stopClauses = 'PT-3.4-02 PT-3.4-03 PT-3.4-04 PT-3.4-05 PT-3.2.1-13';

/**
 * Asks the parent to end, and watches what it does with the PT. @returns whether it could be seen: on a busy
 * machine the PT may look too late to tell how much time it was given
 */
export async function judgeStop(
  findings: Findings,
  run: ParentRun,
  manner: Manner,
  times: { readonly patience: Allowance; readonly quiet: Allowance },
): Promise<boolean> {
  run.order({
    type: 'attend',
    leaveOnSigterm: manner === 'waits for SIGTERM',
    ...(manner === 'leaves late' && { leaveAfterMs: CLEANUP_MS }),
  });
  await run.until(() => run.isAttentive || run.has('gone'), times.patience);
  const wasOpen = !run.has('stdin end');
  run.stopParent();
  await run.until(() => run.has('gone') || run.end !== undefined, times.patience);
  // A parent that has gone does nothing more.
  await run.until(() => run.has('gone'), times.quiet);

  const judge = findings.on(
    `SIGTERM to the parent of a PT that ${manner}`,
    run.events.length === 0 ? 'nothing happened to the PT' : `to the PT: ${describe(run)}`,
  );
  const hasEnd = run.has('stdin end');
  const hasAsked = run.has('SIGTERM');
  const grace = graceOf(run);
  if (manner === 'refuses to die') {
    judge('PT-3.4-05', run.events.at(-1)?.event === 'gone', 'a kill, after the gentler ways');
    return true;
  }
  if (hasEnd && hasAsked && grace === undefined) return false;
  const hasTime = hasEnd && run.hasLeft && (!hasAsked || grace === 'enough');
  if (manner === 'leaves late') {
    judge('PT-3.4-02', hasEnd && grace !== 'before', 'the end of its stdin first');
    judge(
      'PT-3.2.1-13',
      wasOpen && hasEnd,
      'a stdin that is open while it runs, and closed to end it',
    );
    judge(
      'PT-3.4-03',
      hasTime,
      `time to clean up, ${CLEANUP_MS} ms at least, before anything else`,
    );
  } else {
    judge('PT-3.4-04', hasTime && hasAsked, 'the end of stdin, some time, then SIGTERM');
  }
  return true;
}

/**
 * Whether the PT had time between the end of stdin and SIGTERM; `before` when SIGTERM came first; undefined
 * when the PT cannot have seen it well enough.
 */
function graceOf(run: ParentRun): 'enough' | 'too little' | 'before' | undefined {
  const end = run.find('stdin end')?.moment;
  const asked = run.find('SIGTERM')?.moment;
  if (end === undefined || asked === undefined) return undefined;
  if (asked.seenMs < end.notBeforeMs) return 'before';
  if (asked.notBeforeMs - end.seenMs >= CLEANUP_MS - TIMER_ERROR_MS) return 'enough';
  return asked.seenMs - end.notBeforeMs < CLEANUP_MS ? 'too little' : undefined;
}

function describe({ events }: ParentRun): string {
  const start = events[0]!.atMs;
  return events.map(({ event, atMs }) => `${event} (after ${atMs - start} ms)`).join(', ');
}

/** What a PT may reasonably need to clean up. */
const CLEANUP_MS = 200;

/** How often the PT looks, and how early a timer may be. */
const TIMER_ERROR_MS = 15;
