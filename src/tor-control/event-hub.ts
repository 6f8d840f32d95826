import { AsyncQueue } from '../bytes/async-queue.ts';
import { Emitter } from '../bytes/emitter.ts';
import { limits } from '../limits.ts';

/** Stands in place of events that a slow reader of `events()` has missed. */
export interface EventsLost {
  readonly type: 'lost';
  readonly count: number;
}

/** Hands events to all who want them: to listeners at once, to readers at their own pace. */
export class EventHub<Event> extends Emitter<Event> {
  readonly #readers = new Set<EventReader<Event>>();
  #end: { readonly error: unknown } | undefined;

  /** The events from this call on. */
  events(): EventReader<Event> {
    const reader = new EventReader<Event>(() => this.#readers.delete(reader));
    if (this.#end === undefined) this.#readers.add(reader);
    else reader.finish(this.#end.error);
    return reader;
  }

  override emit(event: Event): void {
    for (const reader of this.#readers) reader.push(event);
    super.emit(event);
  }

  /** There will be no more: readers end, with `error` when it is not undefined. */
  finish(error: unknown): void {
    this.#end = { error };
    for (const reader of this.#readers) reader.finish(error);
    this.#readers.clear();
  }
}

/**
 * One reader's events. At most `limits.torControlEvents` wait for it. Those that come when so many
 * wait are counted instead, and so are all that follow until the reader has taken what waits; then
 * it gets the number, as `lost`, and goes on with what is new.
 */
export class EventReader<Event> implements AsyncIterableIterator<Event | EventsLost> {
  readonly #onReturn: () => void;
  readonly #queue = new AsyncQueue<Event>(limits.torControlEvents);
  #lost = 0;

  /** @param onReturn the reader has left */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(event: Event): void {
    if (this.#lost > 0 || !this.#queue.push(event)) this.#lost += 1;
  }

  finish(error: unknown): void {
    this.#queue.finish(error);
  }

  async next(): Promise<IteratorResult<Event | EventsLost, undefined>> {
    if (this.#queue.length === 0 && this.#lost > 0) {
      const count = this.#lost;
      this.#lost = 0;
      return { done: false, value: { type: 'lost', count } };
    }
    try {
      return await this.#queue.take();
    } catch (error) {
      // An iterator that has thrown is over.
      this.#queue.finish();
      throw error;
    }
  }

  /** What `break` in a `for await` calls. */
  async return(): Promise<IteratorResult<Event | EventsLost, undefined>> {
    this.#onReturn();
    this.#queue.clear();
    this.#lost = 0;
    this.#queue.finish();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
