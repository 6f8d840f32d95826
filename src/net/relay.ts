import { finished, type Duplex } from 'node:stream';

/**
 * Joins two streams until both directions have ended. The end of one direction reaches the other
 * side while the reverse direction goes on; a failure of either side ends both.
 *
 * @returns resolves when all is over, with the failure that ended it or undefined; never rejects
 */
export function relay(a: Duplex, b: Duplex): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let open = 2;
    let failure: Error | undefined;
    const onFinished = (error?: Error | null): void => {
      if (error) {
        failure ??= error;
        a.destroy();
        b.destroy();
      }
      open -= 1;
      if (open === 0) resolve(failure);
    };
    finished(a, onFinished);
    finished(b, onFinished);
    a.pipe(b);
    b.pipe(a);
  });
}
