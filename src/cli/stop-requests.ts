import { type EventEmitter, setMaxListeners } from 'node:events';
import { limits } from '../limits.ts';
import type { StopWaits } from '../parent/terminate.ts';
import type { StopRequests } from './context.ts';

/**
 * Turns SIGINT, SIGTERM, SIGHUP and the loss of stdout into stop requests for as long as the process lives.
 *
 * The listeners do not keep the process alive.
 *
 * @param signals the process, which emits an event for each signal
 * @param stdout whose error means that nobody reads it any more: others get a SIGPIPE then, Node does not
 */
export function stopRequestsOf(signals: EventEmitter, stdout: EventEmitter): StopRequests {
  const drain = new AbortController();
  const now = new AbortController();
  // Every connection that is being made listens to them.
  setMaxListeners(0, drain.signal, now.signal);
  const endNow = (why: Error): void => {
    drain.abort();
    now.abort(why);
  };
  const onSignal = (): void => endNow(new Error('told so by a signal'));
  signals.on('SIGINT', () => {
    if (drain.signal.aborted) onSignal();
    else drain.abort();
  });
  signals.on('SIGTERM', onSignal);
  // The terminal has gone. A daemon has a listener of its own, and another meaning.
  signals.on('SIGHUP', () => {
    if (signals.listenerCount('SIGHUP') === 1) onSignal();
  });
  stdout.on('error', () => endNow(new Error('nobody reads its output any more')));
  return { drain: drain.signal, now: now.signal, endNow };
}

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
