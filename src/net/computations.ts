import { Fifo } from '../bytes/fifo.ts';

/**
 * Long computations of connections, one after the other and a little in each turn of the event loop:
 * strangers can start as many as they like without stopping everybody else.
 */
const waiting = new Fifo<() => boolean>();
let isScheduled = false;

/** @param step called again and again until it returns true; takes a millisecond or so, and never throws */
export function computeInTurns(step: () => boolean): void {
  waiting.push(step);
  schedule();
}

function schedule(): void {
  if (isScheduled || waiting.first === undefined) return;
  isScheduled = true;
  setImmediate(() => {
    isScheduled = false;
    const endMs = performance.now() + MAX_TURN_MS;
    do {
      if (waiting.first!()) waiting.shift();
    } while (waiting.first !== undefined && performance.now() < endMs);
    schedule();
  });
}

const MAX_TURN_MS = 2;
