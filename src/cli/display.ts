import type { Writable } from 'node:stream';

/** Lines on a terminal, of which the last may be rewritten, or on anything else. */
export interface Display {
  /** Whether a line can be rewritten. */
  readonly isLive: boolean;
  /** A line that stays. */
  line(text: string): void;
  /** Rewrites the last line in place; nothing where lines cannot be rewritten. */
  status(text: string): void;
  /** Takes that line away. */
  clear(): void;
}

/** A display on a stream; control sequences only if it is a terminal. */
export function createDisplay(stream: Writable & { isTTY?: boolean; columns?: number }): Display {
  const isLive = stream.isTTY === true;
  let hasStatus = false;
  return {
    isLive,
    line(text) {
      stream.write(hasStatus ? `\r\x1b[K${text}\n` : `${text}\n`);
      hasStatus = false;
    },
    status(text) {
      if (!isLive) return;
      // A line that wraps could not be taken back.
      stream.write(`\r\x1b[K${text.slice(0, (stream.columns ?? 80) - 1)}`);
      hasStatus = true;
    },
    clear() {
      if (hasStatus) stream.write('\r\x1b[K');
      hasStatus = false;
    },
  };
}

/** `[#########.........]  45%` */
export function formatBar(done: number, total: number): string {
  const share = total === 0 ? 1 : done / total;
  const filled = Math.round(share * BAR_CELLS);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}] ${percent}%`;
}

const BAR_CELLS = 30;

/** Megabytes (of a million bytes) with one digit: `64.0 MB`. */
export function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
