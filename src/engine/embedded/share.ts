import { addAbortListener } from 'node:events';

/** Limits how much of something one peer uses at a time: what is more waits, and holds up nobody else. */
export class Share {
  readonly #size: number;
  readonly #waiting = new Set<() => void>();
  #used = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Does something when there is room for it.
   *
   * @throws what `action` throws; the signal's reason when that came first
   */
  async use<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#used >= this.#size) await this.#room(signal);
    else this.#used += 1;
    try {
      return await action();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#used -= 1;
      else next();
    }
  }

  /** Resolves when somebody has handed over their place. */
  #room(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(enter);
        abortion?.[Symbol.dispose]();
      };
      const enter = (): void => {
        leave();
        resolve();
      };
      const abortion =
        signal &&
        addAbortListener(signal, () => {
          leave();
          reject(signal.reason);
        });
      this.#waiting.add(enter);
    });
  }
}
