import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { giveBack } from '../bytes/give-back.ts';

/**
 * Writes bytes that nobody else will read again, memory and all, and gives the memory back if the system took
 * them at once.
 *
 * @param bytes empty afterwards, if so
 * @returns as `write`
 */
export function writeAway(stream: Duplex, bytes: Uint8Array): boolean {
  const isMoreWanted = stream.write(bytes);
  if (hasAllAway(stream)) giveBack(bytes);
  return isMoreWanted;
}

/** Whether the system has taken all that was written to a stream. */
export function hasAllAway(stream: Duplex): boolean {
  // No descendant of `Socket`: TLS may hold on to what it has counted as written.
  return stream.writableLength === 0 && Object.getPrototypeOf(stream) === Socket.prototype;
}
