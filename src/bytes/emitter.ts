import { unawaited } from '../unawaited.ts';

/** Hands each event to all listeners at once. */
export class Emitter<Event> {
  readonly #listeners = new Set<(event: Event) => void>();

  /** A listener that throws breaks neither the source nor the other listeners. */
  emit(event: Event): void {
    for (const listener of this.#listeners) unawaited(() => listener(event));
  }

  /** Calls back with each event from now on. @returns stops that */
  subscribe(listener: (event: Event) => void): () => void {
    // A wrapper, so that one function may subscribe twice.
    const entry = (event: Event): void => listener(event);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }
}
