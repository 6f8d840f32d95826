import { limits } from '../limits.ts';
import type { StopWaits } from '../parent/terminate.ts';

/** How patient a command is with its own children: together less than it has itself. */
export const childStopWaits: StopWaits = {
  stdinWaitMs: limits.childHurryMs,
  termWaitMs: limits.childHurryMs,
};

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
