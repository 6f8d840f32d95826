import type { Duplex } from 'node:stream';
import { PosternError } from '../errors.ts';

/**
 * Joins two streams until both directions have ended. The end of one direction reaches the other
 * side while the reverse direction goes on; a side that breaks takes the other with it.
 *
 * By hand and not by `pipe` and `finished`: an idle connection costs half the memory.
 *
 * @returns resolves when both are closed, with the failure that ended them or undefined; never
 *   rejects
 */
export function relay(a: Duplex, b: Duplex): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let open = 2;
    let failure: Error | undefined;
    const join = (from: Duplex, to: Duplex): void => {
      const onEnd = (): void => void to.end();
      const onClose = (): void => {
        if (!from.readableEnded || !from.writableFinished) {
          failure ??=
            from.errored ?? new PosternError('ERR_STREAM_TRUNCATED', 'closed before its end');
          to.destroy();
        }
        open -= 1;
        if (open === 0) resolve(failure);
      };
      from.on('error', ignore);
      from.on('data', (chunk) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      if (from.readableEnded) onEnd();
      else from.on('end', onEnd);
      if (from.closed) onClose();
      else from.on('close', onClose);
    };
    join(a, b);
    join(b, a);
    // Whoever read from them before may have left them paused.
    a.resume();
    b.resume();
  });
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
