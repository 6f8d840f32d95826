import { addAbortListener } from 'node:events';

/**
 * What `work` comes to, unless the signal is aborted before: then it rejects at once with
 * `signal.reason`, for work that cannot be called off, or that is slow to notice.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    // The first settlement wins.
    const abortion = addAbortListener(signal, () => reject(signal.reason));
    work.then(resolve, reject).finally(() => abortion[Symbol.dispose]());
  });
}
