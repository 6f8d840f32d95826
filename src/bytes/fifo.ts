/**
 * First in, first out, at the same cost however many wait: `Array.shift` moves all that is behind,
 * once there are tens of thousands.
 */
export class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  /** How many wait. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The first one, which stays. */
  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first one out. */
  shift(): T | undefined {
    const item = this.first;
    if (this.length > 0) this.#head += 1;
    // What was taken is let go of in one move for many.
    if (this.#head === this.#items.length || this.#head >= MAX_SPENT) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes all out. */
  drain(): T[] {
    const items = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return items;
  }
}

const MAX_SPENT = 4096;
