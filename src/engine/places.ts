/** The addresses that a daemon listens at: which part has one now, and which gets it with the next change. */
import type { Endpoint } from '../pt/address.ts';

/** What only one listener can have: an address with its port, or the path of a socket. */
export type Place = Endpoint | { readonly path: string };

/** Opens again what was closed to make room. Never rejects. */
export type GiveBack = () => Promise<void>;

/** A part that listens. */
export interface Holder {
  /** Closes what is open at that place or keeps it from being opened. @returns how that is undone */
  leave(place: Place): Promise<readonly GiveBack[]>;
}

/** The places of a daemon, whichever of its parts listens there: a change hands them over. */
export class Places {
  readonly #holders: Holder[] = [];
  #next: readonly Place[] = [];

  join(holder: Holder): void {
    this.#holders.push(holder);
  }

  /** A change begins. @param next all that is listened at when it is in force */
  beginChange(next: readonly Place[]): void {
    this.#next = next;
  }

  /**
   * Makes room for a listener that the change opens, where the part that has the place gives it up in this
   * change. A part that keeps its place keeps it, and the new listener finds the place in use.
   */
  async makeRoom(place: Place): Promise<readonly GiveBack[]> {
    if (this.#next.filter((other) => collide(place, other)).length > 1) return [];
    const undo: GiveBack[] = [];
    for (const holder of this.#holders) undo.push(...(await holder.leave(place)));
    return undo;
  }
}

/** Whether the system would say of one that it is in use, because of the other. */
export function collide(one: Place, other: Place): boolean {
  if ('path' in one || 'path' in other) {
    return 'path' in one && 'path' in other && one.path === other.path;
  }
  if (one.port !== other.port || one.port === 0) return false;
  const hosts = [one.host, other.host];
  const isIpv6 = hosts.map((host) => host.includes(':'));
  return (
    one.host === other.host ||
    // `::` takes in IPv4, too.
    hosts.includes('::') ||
    (hosts.includes('0.0.0.0') && !isIpv6.includes(true))
  );
}
