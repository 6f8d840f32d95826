import { addAbortListener } from 'node:events';

/**
 * The result of `work`, unless the signal is aborted before: then it rejects at once with `signal.reason`.
 * For work that cannot be cancelled, or that is slow to notice.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    // The first settlement wins.
    const abortion = addAbortListener(signal, () => reject(signal.reason));
    work.then(resolve, reject).finally(() => abortion[Symbol.dispose]());
  });
}
