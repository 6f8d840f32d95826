import { Fifo } from '../../../bytes/fifo.ts';
import { limits } from '../../../limits.ts';

/** Stands in the place of events that a slow reader of `events()` has missed. */
export interface EventsLost {
  readonly type: 'lost';
  readonly count: number;
}

/** Hands events to all who want them: to listeners at once, to readers at their own pace. */
export class EventHub<Event> {
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #readers = new Set<EventReader<Event>>();
  #end: { readonly error: unknown } | undefined;

  /** Calls back with each event from now on. @returns stops that */
  onEvent(listener: (event: Event) => void): () => void {
    const entry = (event: Event): void => listener(event);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  /** The events from this call on. */
  events(): EventReader<Event> {
    const reader = new EventReader<Event>(() => {
      this.#readers.delete(reader);
    });
    if (this.#end === undefined) this.#readers.add(reader);
    else reader.finish(this.#end.error);
    return reader;
  }

  emit(event: Event): void {
    for (const reader of this.#readers) reader.push(event);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener's fault is its owner's to hear of; it shall not keep events from the others.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** There will be no more: readers end, with `error` when it is not undefined. */
  finish(error: unknown): void {
    this.#end = { error };
    for (const reader of this.#readers) reader.finish(error);
    this.#readers.clear();
    this.#listeners.clear();
  }
}

/**
 * One reader's events. At most `limits.torControlEvents` wait for it. Those that come when so many
 * wait are counted instead, and so are all that follow until the reader has taken what waits; then
 * it gets the number, as `lost`, and goes on with what is new.
 */
export class EventReader<Event> implements AsyncIterableIterator<Event | EventsLost> {
  readonly #onReturn: () => void;
  readonly #untaken = new Fifo<Event>();
  readonly #waiting = new Fifo<Waiting<Event>>();
  #lost = 0;
  #end: { error: unknown } | undefined;

  /** @param onReturn the reader has left */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(event: Event): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting.resolve({ done: false, value: event });
    } else if (this.#lost > 0 || this.#untaken.length >= limits.torControlEvents) {
      this.#lost += 1;
    } else {
      this.#untaken.push(event);
    }
  }

  finish(error: unknown): void {
    this.#end ??= { error };
    for (const { resolve, reject } of this.#waiting.drain()) this.next().then(resolve, reject);
  }

  next(): Promise<IteratorResult<Event | EventsLost, undefined>> {
    const value = this.#untaken.shift() ?? this.#takeLost();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#end === undefined) {
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    const { error } = this.#end;
    this.#end.error = undefined;
    return error === undefined
      ? Promise.resolve({ done: true, value: undefined })
      : Promise.reject(error);
  }

  /** What `break` in a `for await` calls. */
  return(): Promise<IteratorResult<Event | EventsLost, undefined>> {
    this.#onReturn();
    this.#untaken.drain();
    this.#lost = 0;
    this.#end = { error: undefined };
    this.finish(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #takeLost(): EventsLost | undefined {
    if (this.#lost === 0) return undefined;
    const count = this.#lost;
    this.#lost = 0;
    return { type: 'lost', count };
  }
}

interface Waiting<Event> {
  readonly resolve: (result: IteratorResult<Event | EventsLost, undefined>) => void;
  readonly reject: (error: unknown) => void;
}
