/** A promise, with the functions that settle it. */
export interface Settler<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** The same promise, which an abort rejects as well, unless it has been settled. */
export function rejectOnAbort<T>(
  { resolve, reject }: Settler<T>,
  signal: AbortSignal | undefined,
  onAbort?: () => void,
): Settler<T> {
  if (signal === undefined) return { resolve, reject };
  const abort = (): void => {
    onAbort?.();
    reject(signal.reason);
  };
  signal.addEventListener('abort', abort, { once: true });
  return {
    resolve(value) {
      signal.removeEventListener('abort', abort);
      resolve(value);
    },
    reject(reason) {
      signal.removeEventListener('abort', abort);
      reject(reason);
    },
  };
}
