import { addAbortListener } from 'node:events';
import { Fifo } from '../../bytes/fifo.ts';

/** Those who wait in line until a stream may be opened; giving up leaves the line. */
export class Openers<Stream> {
  readonly #waiting = new Fifo<Opener<Stream>>();

  /** How many wait, those included that have given up and not been passed over yet. */
  get length(): number {
    return this.#waiting.length;
  }

  /** @throws the reason of `signal` */
  wait(signal: AbortSignal | undefined): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const opener: Opener<Stream> = { resolve, reject, isWaiting: true };
      this.#waiting.push(opener);
      if (signal === undefined) return;
      const abortion = addAbortListener(signal, () => {
        opener.isWaiting = false;
        reject(signal.reason as Error);
      });
      opener.cleanUp = () => abortion[Symbol.dispose]();
    });
  }

  /** The next in line gets its stream. */
  admit(open: () => Stream): void {
    const opener = this.#waiting.shift();
    opener?.cleanUp?.();
    if (opener?.isWaiting === true) opener.resolve(open());
  }

  /** Nobody gets one any more. */
  refuse(error: Error): void {
    for (const opener of this.#waiting.drain()) {
      opener.cleanUp?.();
      if (opener.isWaiting) opener.reject(error);
    }
  }
}

interface Opener<Stream> {
  readonly resolve: (stream: Stream) => void;
  readonly reject: (error: Error) => void;
  isWaiting: boolean;
  cleanUp?: () => void;
}
