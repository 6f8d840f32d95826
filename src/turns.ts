/**
 * The turns of the event loop, as those share them whose work a peer can make long. Each takes a share of some
 * 2 ms and leaves the rest to a later turn. That alone would let ten of them make a turn of 20 ms, so all
 * together have a bound as well: where a turn is full only little things are done in it, and the others wait in
 * one line.
 */
import { Fifo } from './bytes/fifo.ts';

const waiting = new Fifo<() => void>();
let isScheduled = false;

/** What this turn has been used for. */
let usedMs = 0;
/** When the last piece of work was done. */
let endedMs = 0;

/** Does work that counts. It may have such work in it. @returns how long it took */
export function workInTurn(work: () => void): number {
  const startMs = performance.now();
  // In between the others had their turn.
  const usedBeforeMs = Math.max(0, usedMs - Math.max(0, startMs - endedMs));
  work();
  endedMs = performance.now();
  usedMs = usedBeforeMs + endedMs - startMs;
  return endedMs - startMs;
}

/** Whether work on so many bytes is to wait in line: so little a peer cannot make long. */
export function isForLater(bytes: number): boolean {
  // What is as long ago as a whole turn was another turn, in which nobody had to wait.
  return bytes > LITTLE_BYTES && usedMs >= TURN_MS && performance.now() - endedMs < TURN_MS;
}

/** Does something in a later turn, behind all that waits already. */
export function waitInLine(work: () => void): void {
  waiting.push(work);
  schedule();
}

function schedule(): void {
  if (isScheduled || waiting.length === 0) return;
  isScheduled = true;
  setImmediate(serve);
}

/** Nobody is served twice in a turn, and who had to wait for another one is the first in the next. */
function serve(): void {
  isScheduled = false;
  usedMs = 0;
  const endMs = performance.now() + LINE_MS;
  try {
    for (let left = waiting.length; left > 0; left -= 1) {
      waiting.shift()!();
      if (performance.now() >= endMs) break;
    }
  } finally {
    schedule();
  }
}

/** What all together take of a turn, and the line's part of it. */
const TURN_MS = 8;
const LINE_MS = 4;
/** Where every byte is work, this is a quarter of a millisecond. */
const LITTLE_BYTES = 2048;
