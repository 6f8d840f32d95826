import { rejectOnAbort, type Settler } from './settler.ts';

/** Something that comes, goes and comes again, such as a connection. A call in between waits for the next one. */
export class Recurring<T> {
  readonly #waiting = new Set<Settler<T>>();
  #current: T | undefined;
  #end: { readonly reason: unknown } | undefined;

  /** What is there now. */
  get current(): T | undefined {
    return this.#current;
  }

  /** @throws what `finish` was given, or the signal's reason */
  next(signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#current !== undefined) resolve(this.#current);
      else if (this.#end !== undefined) reject(this.#end.reason);
      else {
        const waiting: Settler<T> = rejectOnAbort({ resolve, reject }, signal, () =>
          this.#waiting.delete(waiting),
        );
        this.#waiting.add(waiting);
      }
    });
  }

  /** It has come. */
  set(value: T): void {
    this.#current = value;
    for (const { resolve } of this.#waiting) resolve(value);
    this.#waiting.clear();
  }

  /** It has gone. */
  clear(): void {
    this.#current = undefined;
  }

  /** It does not come again. */
  finish(reason: unknown): void {
    this.#end = { reason };
    for (const { reject } of this.#waiting) reject(reason);
    this.#waiting.clear();
  }
}
