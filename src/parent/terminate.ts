import { limits } from '../limits.ts';
import { systemTimers, type Timers } from '../time.ts';
import { unawaited } from '../unawaited.ts';

/** What the ladder needs of a process. */
export interface Stoppable {
  /** Resolves when the process is gone; never rejects. */
  readonly exited: Promise<unknown>;
  closeStdin(): void;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** How long each step is given before the next. */
export interface StopWaits {
  readonly stdinWaitMs?: number;
  readonly termWaitMs?: number;
}

/** For a process that is told to end now itself: all steps together take less than its own last resort. */
export const hurriedStopWaits: StopWaits = {
  stdinWaitMs: limits.childHurryMs,
  termWaitMs: limits.childHurryMs,
};

/**
 * The stop ladder (PT 3.4): close stdin, wait, SIGTERM, wait, SIGKILL. It goes no further as soon as the
 * process is gone.
 *
 * @returns resolves when the process is gone
 */
export async function terminate(
  process: Stoppable,
  { stdinWaitMs = limits.childStdinWaitMs, termWaitMs = limits.childTermWaitMs }: StopWaits = {},
  timers: Timers = systemTimers,
): Promise<void> {
  process.closeStdin();
  if (await isGoneWithin(process, stdinWaitMs, timers)) return;
  process.kill('SIGTERM');
  if (await isGoneWithin(process, termWaitMs, timers)) return;
  process.kill('SIGKILL');
  await process.exited;
}

function isGoneWithin(process: Stoppable, waitMs: number, timers: Timers): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = timers.after(waitMs, () => resolve(false));
    unawaited(async () => {
      await process.exited;
      cancel();
      resolve(true);
    });
  });
}
