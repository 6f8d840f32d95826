import type { Duplex } from 'node:stream';
import { limits } from '../limits.ts';

/**
 * Closes a stream so that the peer gets what was written. It reads on, since a close with unread data would
 * send a reset that overtakes the last bytes, and gives the peer some time to close as well.
 */
export function closeGently(stream: Duplex, lastBytes?: Uint8Array): void {
  if (stream.destroyed) return;
  const deadline = setTimeout(() => stream.destroy(), limits.closeLingerMs);
  stream.once('close', () => clearTimeout(deadline));
  if (lastBytes === undefined) stream.end();
  else stream.end(lastBytes);
  // It closes by itself when both directions have ended.
  stream.resume();
}
