import type { Output } from './context.ts';

/** Lines on a stream; on a terminal the last one may be rewritten. */
export interface Display {
  /** A line that stays. */
  line(text: string): void;
  /** Rewrites the last line in place; nothing where lines cannot be rewritten. */
  status(text: string): void;
}

/** A display on a stream; control sequences only if it is a terminal. */
export function createDisplay(stream: Output): Display {
  const erase = stream.isTTY === true ? '\r\x1b[K' : '';
  return {
    line(text) {
      stream.write(`${erase}${text}\n`);
    },
    status(text) {
      // A line that wraps could not be taken back.
      if (erase !== '') stream.write(`${erase}${text.slice(0, (stream.columns ?? 80) - 1)}`);
    },
  };
}

/** `[#########.........]  45%` */
export function formatBar(done: number, total: number): string {
  const filled = Math.round((BAR_CELLS * done) / total);
  const percent = String(Math.floor((100 * done) / total)).padStart(3);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}] ${percent}%`;
}

const BAR_CELLS = 30;
