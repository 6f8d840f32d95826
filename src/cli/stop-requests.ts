import type { StopRequests } from './context.ts';

/**
 * Turns SIGINT and SIGTERM into stop requests for as long as the process lives.
 *
 * The listeners do not keep the process alive.
 */
export function stopRequestsOf(target: NodeJS.Process): StopRequests {
  const drain = new AbortController();
  const now = new AbortController();
  const endNow = (): void => {
    drain.abort();
    now.abort();
  };
  target.on('SIGINT', () => {
    if (drain.signal.aborted) endNow();
    else drain.abort();
  });
  target.on('SIGTERM', endNow);
  return { drain: drain.signal, now: now.signal };
}

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
