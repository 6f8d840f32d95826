/**
 * Connections that are in their handshake, of all listeners. Anybody can open them, so they must not keep out the
 * next one: at the cap one that waits makes room, and is a rejected one from then on.
 */
import type { Socket } from 'node:net';
import { limits } from '../limits.ts';
import { ipToBytes } from '../pt/address.ts';

/** A handshake that is not done. */
export interface PendingHandshake {
  readonly wire: Socket;
  /** Makes it a rejected one. */
  readonly reject: () => void;
  /** Where it comes from, once anybody has asked. */
  prefix: string | undefined;
}

/** All there are, oldest first. */
const pending = new Set<PendingHandshake>();

/** The same by where they come from: those of whom it is known. */
const pendingOf = new Map<string, Set<PendingHandshake>>();

/**
 * The others. Where they come from is not asked as long as all together are no more than one network may have:
 * it takes a system call and some parsing.
 */
const unasked = new Set<PendingHandshake>();

/**
 * A handshake begins. One that has to make room for it is rejected: the newcomer's neighbour when they are
 * more than the share of one network, else anybody's.
 *
 * @returns what is to be given to `endHandshake`, and whether another one made room
 */
export function beginHandshake(
  wire: Socket,
  reject: () => void,
): { readonly handshake: PendingHandshake; readonly madeRoom: boolean } {
  const handshake: PendingHandshake = { wire, reject, prefix: undefined };
  const few = Math.min(limits.pendingHandshakes, limits.pendingHandshakesOfPrefix);
  const madeRoom = pending.size >= few && makeRoomFor(handshake);
  pending.add(handshake);
  unasked.add(handshake);
  return { handshake, madeRoom };
}

function makeRoomFor(newcomer: PendingHandshake): boolean {
  for (const handshake of unasked) register(handshake);
  unasked.clear();
  const neighbours = pendingOf.get(prefixOf(newcomer.wire.remoteAddress));
  const isOverShare = (neighbours?.size ?? 0) >= limits.pendingHandshakesOfPrefix;
  if (!isOverShare && pending.size < limits.pendingHandshakes) return false;
  return rejectOne(isOverShare ? neighbours! : pending);
}

function register(handshake: PendingHandshake): void {
  handshake.prefix = prefixOf(handshake.wire.remoteAddress);
  let neighbours = pendingOf.get(handshake.prefix);
  if (neighbours === undefined) pendingOf.set(handshake.prefix, (neighbours = new Set()));
  neighbours.add(handshake);
}

/** How many there are. */
export function pendingHandshakes(): number {
  return pending.size;
}

/** It is through, or has failed. Idempotent. */
export function endHandshake(handshake: PendingHandshake): void {
  const { prefix } = handshake;
  if (!pending.delete(handshake) || unasked.delete(handshake) || prefix === undefined) return;
  const neighbours = pendingOf.get(prefix)!;
  neighbours.delete(handshake);
  if (neighbours.size === 0) pendingOf.delete(prefix);
}

/** Rejects the one that is least likely to succeed. @returns whether there was one */
export function rejectOnePending(): boolean {
  return rejectOne(pending);
}

function rejectOne(handshakes: ReadonlySet<PendingHandshake>): boolean {
  const chosen = leastPromising(handshakes);
  if (chosen === undefined) return false;
  endHandshake(chosen);
  chosen.reject();
  return true;
}

/** Among the oldest the one that has sent least: a flood of connections sends nothing. */
function leastPromising(handshakes: ReadonlySet<PendingHandshake>): PendingHandshake | undefined {
  let chosen: PendingHandshake | undefined;
  let looked = 0;
  for (const handshake of handshakes) {
    if (looked === MAX_LOOKED_AT) break;
    looked += 1;
    if (chosen === undefined || handshake.wire.bytesRead < chosen.wire.bytesRead) {
      chosen = handshake;
    }
    if (chosen.wire.bytesRead === 0) break;
  }
  return chosen;
}

/** To look through all of them for each connection would let a flood cost too much. */
const MAX_LOOKED_AT = 64;

/** The network that an address is of: what one owner of addresses usually has. IPv4 /24, IPv6 /48. */
function prefixOf(address = ''): string {
  // By hand for the usual form: it is done for each stranger.
  if (!address.includes(':')) return address.slice(0, address.lastIndexOf('.'));
  const v4 = /^::ffff:([\d.]+)$/i.exec(address);
  if (v4 !== null) return prefixOf(v4[1]);
  return Buffer.from(ipToBytes(address)?.subarray(0, 6) ?? []).toString('hex');
}
