import type { MuxStreamState } from './stream-state.ts';

/** What of a session's streams has come and has not been taken. */
export class Holdings<Owner> {
  /** Those of which something is held, also such as have ended otherwise. */
  readonly #streams = new Set<MuxStreamState<Owner>>();
  #bytes = 0;

  /** How many bytes are held in all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Those of which something is held. */
  get streams(): ReadonlySet<MuxStreamState<Owner>> {
    return this.#streams;
  }

  /** Of a stream so many bytes more are held, or fewer when negative. */
  add(stream: MuxStreamState<Owner>, bytes: number): void {
    stream.heldBytes += bytes;
    this.#bytes += bytes;
    if (stream.heldBytes > 0) this.#streams.add(stream);
    else this.#streams.delete(stream);
  }

  /** The stream that was last taken from the longest ago; there must be one. */
  get stalest(): MuxStreamState<Owner> {
    return [...this.#streams].reduce((a, b) => (b.consumedAt < a.consumedAt ? b : a));
  }
}
