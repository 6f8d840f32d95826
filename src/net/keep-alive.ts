import type { Socket } from 'node:net';

/**
 * Go's keep-alive, which is what obfs4proxy's connections have: a probe after 15 idle seconds, then one
 * every 15 s, and the end at the ninth that stays without an answer. An idle connection outlives two
 * minutes without a network, and a peer that vanished is noticed after two and a half.
 */
const IDLE_MS = 15_000;
const INTERVAL_MS = 15_000;
const PROBES = 9;

/**
 * The idle time for a Node that takes nothing else and always sends ten probes a second apart: ten seconds
 * without a network during them end a connection. So it probes as rarely as it can while still noticing a
 * vanished peer when Go does.
 */
const LONE_IDLE_MS: number = IDLE_MS + PROBES * INTERVAL_MS - 10 * 1_000;

/** The last two are taken by Node 26 and by later ones of 24 (nodejs/node 45494d5). */
type SetKeepAlive = (on: true, idleMs: number, intervalMs?: number, probes?: number) => unknown;

/** Switches keep-alive on, as near to Go's as this Node gets. */
export function keepAlive(socket: Pick<Socket, 'setKeepAlive'>): void {
  const setKeepAlive: SetKeepAlive = socket.setKeepAlive;
  if (setKeepAlive.length < 4) setKeepAlive.call(socket, true, LONE_IDLE_MS);
  else setKeepAlive.call(socket, true, IDLE_MS, INTERVAL_MS, PROBES);
}
