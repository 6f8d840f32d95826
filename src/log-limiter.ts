/**
 * Keeps lines that a peer can cause from filling the log: the first of a kind is written at once; those that
 * follow become a count once a minute, with the last of the lines that it stands for.
 */
export class LogLimiter {
  readonly #kinds = new Map<string, Repeats>();

  /**
   * Writes a line, or counts it.
   *
   * @param kind lines of one kind are counted together; past the cap on kinds all others are one kind
   * @param write is given the line as it is to be written
   */
  take(kind: string, text: string, write: (text: string) => void): void {
    const known = this.#kinds.has(kind) || this.#kinds.size < MAX_KINDS;
    const key = known ? kind : OTHERS;
    const repeats = this.#kinds.get(key);
    if (repeats !== undefined) {
      repeats.count += 1;
      repeats.text = text;
      repeats.write = write;
      return;
    }
    write(text);
    this.#kinds.set(key, { timer: this.#wait(key), count: 0, text, write });
  }

  /** Writes the counts that would be due later: nothing is written after this. */
  flush(): void {
    for (const [key, repeats] of this.#kinds) {
      clearTimeout(repeats.timer);
      this.#kinds.delete(key);
      tell(repeats);
    }
  }

  /** Keeps no process alive. */
  #wait(key: string): NodeJS.Timeout {
    return setTimeout(() => this.#count(key), PERIOD_MS).unref();
  }

  #count(key: string): void {
    const repeats = this.#kinds.get(key)!;
    // After a quiet minute it is news again.
    if (repeats.count === 0) this.#kinds.delete(key);
    else repeats.timer = this.#wait(key);
    tell(repeats);
  }
}

/** The lines of a kind since the last one that was written. */
interface Repeats {
  timer: NodeJS.Timeout;
  count: number;
  text: string;
  write: (text: string) => void;
}

function tell(repeats: Repeats): void {
  const { count, text, write } = repeats;
  repeats.count = 0;
  if (count > 0) write(`${text} [${count} more like it within a minute]`);
}

const PERIOD_MS = 60_000;
const MAX_KINDS = 64;
const OTHERS = '';
