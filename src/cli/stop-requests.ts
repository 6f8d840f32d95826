import type { EventEmitter } from 'node:events';
import type { StopRequests } from './context.ts';

/**
 * Turns SIGINT, SIGTERM and the loss of stdout into stop requests for as long as the process lives.
 *
 * The listeners do not keep the process alive.
 *
 * @param signals the process, which emits an event for each signal
 * @param stdout whose error means that nobody reads it any more: others get a SIGPIPE then, Node does not
 */
export function stopRequestsOf(signals: EventEmitter, stdout: EventEmitter): StopRequests {
  const drain = new AbortController();
  const now = new AbortController();
  const endNow = (): void => {
    drain.abort();
    now.abort();
  };
  signals.on('SIGINT', () => {
    if (drain.signal.aborted) endNow();
    else drain.abort();
  });
  signals.on('SIGTERM', endNow);
  stdout.on('error', endNow);
  return { drain: drain.signal, now: now.signal };
}

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
