/** Connections whose peer has failed to prove itself: they are read until a timer closes them. */
import type { Duplex } from 'node:stream';
import { limits } from '../limits.ts';
import { type LeavableReading, readLent } from './reading.ts';

/** All of them, oldest first, with the time at which each is closed. */
const deadlines = new Map<Duplex, NodeJS.Timeout>();

/** How many there are. */
export function rejectedConnections(): number {
  return deadlines.size;
}

/**
 * Reads and discards all that comes, and closes by a timer: the only behaviour that a peer sees which has not
 * proven itself, whatever the cause (Frolov et al., NDSS 2020). Since all was read the close is a FIN; with
 * unread data it would be an RST.
 *
 * Nothing is kept of such a connection but its socket. Past the cap on them the oldest is closed.
 *
 * @param wire without the listeners of its owner before, but for those that may stay
 * @param reading that of its owner before
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
