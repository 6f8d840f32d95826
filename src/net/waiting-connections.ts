/**
 * Connections that have not asked for anything yet. Anybody who can reach their listener can open them, so they
 * must not keep out the next one: where there is no room, the one that has waited longest is closed.
 */
import type { Duplex } from 'node:stream';

/** All there are, of every listener, oldest first. */
const all = new Set<Duplex>();

/** Those of one listener. */
export class WaitingConnections {
  readonly #own = new Set<Duplex>();

  /** How many wait. */
  get size(): number {
    return this.#own.size;
  }

  /** It waits from now on. */
  add(connection: Duplex): void {
    this.#own.add(connection);
    all.add(connection);
  }

  /** It has asked, or is closed. Idempotent. */
  delete(connection: Duplex): void {
    this.#own.delete(connection);
    all.delete(connection);
  }

  /** Closes the one that has waited longest. @returns whether there was one */
  closeOldest(): boolean {
    const [oldest] = this.#own;
    if (oldest === undefined) return false;
    this.delete(oldest);
    oldest.destroy();
    return true;
  }
}

/** Closes the one that has waited longest at any listener. @returns whether there was one */
export function closeOldestWaiting(): boolean {
  const [oldest] = all;
  if (oldest === undefined) return false;
  all.delete(oldest);
  oldest.destroy();
  return true;
}
