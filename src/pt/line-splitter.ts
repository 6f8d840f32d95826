import { ByteQueue } from '../bytes/queue.ts';
import { limits } from '../limits.ts';

/** What comes out of the splitter: a line without its NL, owned; or word of one that was too long. */
export type LineEvent =
  | { readonly kind: 'line'; readonly bytes: Uint8Array }
  | { readonly kind: 'over-long'; readonly maxBytes: number };

/**
 * Cuts a child's output into lines at NL, with bounded memory. A line over the limit is reported once,
 * as soon as it is over, and skipped up to its NL. What stands after the last NL is no line and never
 * comes out (PT 3.3).
 */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #line = new ByteQueue();
  #isSkipping = false;

  constructor(maxBytes: number = limits.ptLineBytes) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that end in this chunk, in order. */
  push(chunk: Uint8Array): readonly LineEvent[] {
    const events: LineEvent[] = [];
    let rest = chunk;
    for (;;) {
      const newline = rest.indexOf(0x0a);
      this.#append(newline === -1 ? rest : rest.subarray(0, newline), events);
      if (newline === -1) return events;
      if (!this.#isSkipping) events.push({ kind: 'line', bytes: this.#line.take() });
      this.#isSkipping = false;
      rest = rest.subarray(newline + 1);
    }
  }

  #append(piece: Uint8Array, events: LineEvent[]): void {
    if (this.#isSkipping) return;
    if (this.#line.length + piece.length > this.#maxBytes) {
      this.#line.skip(this.#line.length);
      this.#isSkipping = true;
      events.push({ kind: 'over-long', maxBytes: this.#maxBytes });
    } else {
      this.#line.push(piece);
    }
  }
}
