import { Fifo } from './fifo.ts';
import { rejectOnAbort, type Settler } from './settler.ts';

/**
 * Items that have come and that nobody has taken yet, in order. `take` waits while there are none.
 *
 * At most `maxItems` wait. A further one is not kept, and `push` says so: its
 * owner knows whether that is a gap to tell of or the end of the source.
 */
export class AsyncQueue<T> {
  readonly #maxItems: number;
  readonly #untaken = new Fifo<T>();
  readonly #takers = new Set<Settler<IteratorResult<T, undefined>>>();
  #end: { readonly error: unknown } | undefined;

  constructor(maxItems: number) {
    this.#maxItems = maxItems;
  }

  /** How many items wait. */
  get length(): number {
    return this.#untaken.length;
  }

  /** @returns false when there is no room: the item is not kept */
  push(item: T): boolean {
    const [taker] = this.#takers;
    if (taker !== undefined) {
      this.#takers.delete(taker);
      taker.resolve({ done: false, value: item });
    } else if (this.#untaken.length >= this.#maxItems) {
      return false;
    } else {
      this.#untaken.push(item);
    }
    return true;
  }

  /** Nothing more comes: `take` gives what still waits, then the end, which is `error` if there is one. */
  finish(error?: unknown): void {
    this.#end = { error };
    for (const taker of this.#takers) settleEnd(taker, error);
    this.#takers.clear();
  }

  /** Drops what waits. */
  clear(): void {
    this.#untaken.drain();
  }

  /**
   * The next item, or the end. A `take` that is aborted takes nothing.
   *
   * @throws what `finish` was given, or the signal's reason
   */
  take(signal?: AbortSignal): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#untaken.length > 0) {
        resolve({ done: false, value: this.#untaken.shift()! });
      } else if (this.#end !== undefined) {
        settleEnd({ resolve, reject }, this.#end.error);
      } else {
        const taker: Settler<IteratorResult<T, undefined>> = rejectOnAbort(
          { resolve, reject },
          signal,
          () => this.#takers.delete(taker),
        );
        this.#takers.add(taker);
      }
    });
  }
}

function settleEnd<T>(
  { resolve, reject }: Settler<IteratorResult<T, undefined>>,
  error: unknown,
): void {
  if (error === undefined) resolve({ done: true, value: undefined });
  else reject(error);
}
