/** The terminal of `postern top`: taken over, written to, and always put back as it was. */
import type { Readable, Writable } from 'node:stream';

/** Where keys come from. */
type Keyboard = Readable & {
  readonly isTTY?: boolean;
  setRawMode?: (isRaw: boolean) => unknown;
};
/** Where the screen is. */
type Screen = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

// Another screen, without a cursor, on which nothing wraps.
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

/** A terminal that has been taken over. */
export class Terminal {
  readonly #keyboard: Keyboard;
  readonly #screen: Screen;
  #onKey: (key: string) => void = () => {};
  #onResize: () => void = () => {};
  #isOver = false;
  readonly #leave = (): void => this.close();

  constructor(keyboard: Keyboard, screen: Screen) {
    this.#keyboard = keyboard;
    this.#screen = screen;
    screen.write(ENTER);
    keyboard.setRawMode?.(true);
    keyboard.on('data', this.#read).resume();
    screen.on('resize', this.#resized);
    // Also when an error ends the process.
    process.on('exit', this.#leave);
  }

  get columns(): number {
    return this.#screen.columns ?? 80;
  }

  get rows(): number {
    return this.#screen.rows ?? 24;
  }

  /** @param onKey is called with `up`, `down`, `pageup`, `pagedown`, `escape`, `enter`, `backspace`, `ctrl-c`, `tab`, or one character */
  listen(onKey: (key: string) => void, onResize: () => void): void {
    this.#onKey = onKey;
    this.#onResize = onResize;
  }

  /** Shows exactly these lines. */
  draw(lines: readonly string[]): void {
    if (this.#isOver) return;
    this.#screen.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  }

  /** Puts the terminal back as it was. Idempotent. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    process.off('exit', this.#leave);
    this.#keyboard.off('data', this.#read).pause();
    this.#keyboard.setRawMode?.(false);
    this.#screen.off('resize', this.#resized);
    this.#screen.write(LEAVE);
  }

  readonly #resized = (): void => this.#onResize();

  readonly #read = (chunk: Buffer | string): void => {
    for (const [sequence] of String(chunk).matchAll(KEY)) this.#onKey(names[sequence] ?? sequence);
  };
}

/** An escape sequence, or one character. */
const KEY = /\p{Cc}(?:\[[0-9;]*[A-Za-z~]|(?<=\p{Cc})O[A-Z])?|[^]/gu;

const names: Readonly<Record<string, string>> = {
  '\x1b[A': 'up',
  '\x1b[B': 'down',
  '\x1bOA': 'up',
  '\x1bOB': 'down',
  '\x1b[5~': 'pageup',
  '\x1b[6~': 'pagedown',
  '\x1b': 'escape',
  '\r': 'enter',
  '\n': 'enter',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x03': 'ctrl-c',
  '\t': 'tab',
};
