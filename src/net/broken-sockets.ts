/**
 * Finds sockets that their peer has reset while nobody was reading.
 *
 * Node hears of a reset only where it reads or has something to send. A socket that is paused because its
 * reader does not keep up, or whose peer has ended its direction, does neither, and would be kept for as long
 * as the other side of its relay stays.
 */
import type { Socket } from 'node:net';
import { limits } from '../limits.ts';
import { askForReset, streamOver } from './break-off.ts';
import { isBeingRead } from './reading.ts';

const watched = new Set<Socket>();
let timer: NodeJS.Timeout | undefined;

/** Has a reset destroy the socket: where nobody reads, it is asked from time to time. */
export function watchForReset(socket: Socket): void {
  watched.add(socket);
  socket.on('close', forget);
  // This timer alone keeps no process alive.
  timer ??= setInterval(look, limits.resetCheckMs).unref();
}

// One function for all sockets: a closure each would be half a kilobyte.
function forget(this: Socket): void {
  watched.delete(this);
  if (watched.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

function look(): void {
  for (const socket of watched) {
    const stream = streamOver(socket);
    if (!isBeingRead(stream)) askForReset(stream);
  }
}
