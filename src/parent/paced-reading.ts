/**
 * Reads what a child writes, and gives it a tenth of the event loop at most, however much it writes and however
 * much work its lines are: the rest waits in the pipe, and then the child waits.
 */
import type { Readable } from 'node:stream';
import { limits } from '../limits.ts';
import { TurnShare } from '../net/turn-share.ts';

/**
 * @param take is given the bytes, borrowed for the call
 * @param onFlood the child has written more than that for a long time; called once
 */
export function readPaced(
  pipe: Readable,
  take: (bytes: Uint8Array) => void,
  onFlood: () => void,
): void {
  const share = new TurnShare();
  let lastHeldMs = -Infinity;
  let floodSinceMs = 0;
  let isFlood = false;
  let rest: NodeJS.Timeout | undefined;

  const hold = (held: Buffer): void => {
    const nowMs = performance.now();
    if (nowMs - lastHeldMs > CALM_MS) floodSinceMs = nowMs;
    lastHeldMs = nowMs;
    pipe.pause();
    // In the pipe it keeps its place, also when Node reads on at the end of the process.
    pipe.unshift(held);
    clearTimeout(rest);
    rest = setTimeout(() => {
      share.renew();
      pipe.resume();
    }, REST_MS);
    if (isFlood || nowMs - floodSinceMs < limits.childFloodMs) return;
    isFlood = true;
    onFlood();
  };
  const read = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length;) {
      if (share.isUsedUp) return hold(chunk.subarray(at));
      const slice = chunk.subarray(at, at + share.sliceBytes);
      at += slice.length;
      share.spend(slice.length, () => take(slice));
    }
  };
  pipe.on('data', read).once('close', () => clearTimeout(rest));
}

/** Ten times the share of a turn. */
const REST_MS = 20;
/** A child that was not held for so long is no flood any more. */
const CALM_MS = 1_000;
