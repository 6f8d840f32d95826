/** What takes turns. */
export interface Scheduled {
  isQueued: boolean;
  /** Where it stands: the more it has sent, the later its turn. */
  place: number;
  /** In which order those came who stand in the same place. */
  ticket: number;
}

/**
 * Whose turn it is to send: whoever has sent least (start-time fair queueing). Everyone who has something
 * to send gets as many bytes as the others, in turns of any length. Who was away takes up where the others
 * are, one turn ahead of them and no more: a key press does not wait behind five hundred downloads, and who
 * sends little by little gets no more than they.
 */
export class Schedule<T extends Scheduled> {
  readonly #turnBytes: number;
  /** A heap: nobody stands before the one at half of its index. */
  readonly #heap: T[] = [];
  /** The place of whoever had the last turn. */
  #place = 0;
  #tickets = 0;

  /** @param turnBytes what one sends at most before it is somebody else's turn */
  constructor(turnBytes: number) {
    this.#turnBytes = turnBytes;
  }

  /** Whether somebody wants to send. */
  get hasNext(): boolean {
    return this.#heap.length > 0;
  }

  /** It has something to send. */
  add(item: T): void {
    item.isQueued = true;
    item.place = Math.max(item.place, this.#place - this.#turnBytes);
    item.ticket = this.#tickets += 1;
    const heap = this.#heap;
    let at = heap.length;
    for (; at > 0; at = (at - 1) >> 1) {
      const above = heap[(at - 1) >> 1]!;
      if (!isBefore(item, above)) break;
      heap[at] = above;
    }
    heap[at] = item;
  }

  /** Who sends now; to be added again when it has more. */
  next(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) this.#sink(last);
    first.isQueued = false;
    this.#place = Math.max(this.#place, first.place);
    return first;
  }

  /** It has sent so many bytes. */
  sent(item: T, bytes: number): void {
    item.place += bytes;
  }

  /** Puts an item where the first one was, and below whoever stands before it. */
  #sink(item: T): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1;
      if (!isBefore(heap[below]!, item)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = item;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.place === b.place ? a.ticket < b.ticket : a.place < b.place;
}
