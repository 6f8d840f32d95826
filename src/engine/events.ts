import type { EngineEvent } from '../control/engine.ts';

/** The events of an engine, on their way to whoever listens. */
export class EngineEvents {
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  /** Tells everyone, now. */
  emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** @returns ends the subscription */
  subscribe(listener: (event: EngineEvent) => void): () => void {
    // A wrapper, so that one function may subscribe twice.
    const entry = (event: EngineEvent): void => listener(event);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }
}
