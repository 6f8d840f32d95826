/** Connections whose peer has not proven itself, until they are closed by time. */
import type { Duplex } from 'node:stream';
import { limits } from '../limits.ts';
import { type LeavableReading, readLent } from './reading.ts';

/** All there are, oldest first, and when each is closed. */
const deadlines = new Map<Duplex, NodeJS.Timeout>();

/** How many are there. */
export function rejectedConnections(): number {
  return deadlines.size;
}

/**
 * Reads and discards whatever comes and closes by time: the one thing that a peer which has not
 * proven itself ever sees (Frolov et al., NDSS 2020). Reading to the end makes the close a FIN; with
 * unread data it would be an RST.
 *
 * Nothing is kept of such a connection but its socket. Past the cap on them the oldest is closed.
 *
 * @param wire without listeners of whoever had it before, but for those that may stay
 * @param reading by whoever had it before
 */
export function discardUntilClosed(
  wire: Duplex,
  delayMs: number,
  reading: LeavableReading = readLent(wire, ignore),
): void {
  if (wire.closed) return;
  if (deadlines.size >= limits.rejectedConnections) closeOldestRejected();
  deadlines.set(wire, setTimeout(destroy, delayMs, wire));
  // One function for all: a closure each would cost more than all else that is kept.
  wire.on('end', destroyThis).on('close', forget).on('error', ignore);
  reading.discard();
}

/** Closes the oldest of them before its time. @returns whether there was one */
export function closeOldestRejected(): boolean {
  const [oldest] = deadlines.keys();
  if (oldest === undefined) return false;
  oldest.destroy();
  forget.call(oldest);
  return true;
}

function destroy(wire: Duplex): void {
  wire.destroy();
}

function destroyThis(this: Duplex): void {
  this.destroy();
}

function forget(this: Duplex): void {
  clearTimeout(deadlines.get(this));
  deadlines.delete(this);
}

function ignore(): void {}
