import { describeError } from './errors.ts';

/** Hears of an error in work that nobody awaits. */
export type OnFault = (error: unknown) => void;

/**
 * Starts work that nobody awaits: what an accepted connection or an event sets off. This is the only place
 * where a promise may be left alone. An error in such work costs the connection or event that it is about,
 * and never the process.
 *
 * @param work may throw, and may return a promise, which may reject
 * @param onFault ends what the work was about, and says so in a log; without it the error becomes a warning
 *   of the process
 */
export function unawaited(work: () => unknown, onFault: OnFault = warnOfFault): void {
  const fail = (error: unknown): void => {
    try {
      onFault(error);
    } catch (second) {
      warnOfFault(second);
    }
  };
  try {
    const result = work();
    if (result instanceof Promise) void result.then(undefined, fail);
  } catch (error) {
    fail(error);
  }
}

/** A warning of the process: on stderr, which is for people in every role of ours. */
export function warnOfFault(error: unknown): void {
  process.emitWarning(describeError(error), 'PosternFault');
}
