/**
 * Session tickets, as a client keeps them: one for each bridge, used once, in obfs4proxy's file, so
 * that its user can swap the program in either direction.
 *
 *   {"192.0.2.3:443": {"key-ticket": Base32 of master key(32) ‖ ticket(112), "issuedAt": seconds}}
 */
import type { Clock } from '../../time.ts';
import { formatEndpoint, type Endpoint } from '../../pt/address.ts';
import type { StateStore } from '../contract.ts';
import { formatBase32, parseBase32 } from './base32.ts';
import { MASTER_KEY_BYTES } from './keys.ts';
import { epochSeconds, TICKET_BYTES, TICKET_LIFETIME_SECONDS, type Ticket } from './tickets.ts';
import { unawaited } from '../../unawaited.ts';

const FILE = 'scramblesuit_tickets.json';
/** What a frame with a ticket carries: master key(32) ‖ ticket(112). */
export const KEY_TICKET_BYTES: number = MASTER_KEY_BYTES + TICKET_BYTES;

interface Entry {
  readonly keyTicket: Uint8Array;
  /** Seconds since the Unix epoch. */
  readonly issuedAt: number;
}

/** The tickets of all bridges. */
export class TicketStore {
  readonly #state: StateStore;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** Resolves when the file has been read. Never rejects: without tickets there is UniformDH. */
  readonly ready: Promise<void>;
  #changed = false;
  #saving = false;

  private constructor(state: StateStore, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    this.ready = this.#load();
  }

  /** The one store that all connections with the same state share. */
  static of(state: StateStore, clock: Clock): TicketStore {
    let store = stores.get(state);
    if (store === undefined) {
      store = new TicketStore(state, clock);
      stores.set(state, store);
    }
    return store;
  }

  /** Takes a bridge's ticket out of the store; undefined when there is none that is valid still. */
  take(bridge: Endpoint): Ticket | undefined {
    const key = formatEndpoint(bridge);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#save();
    if (!this.#isValid(entry)) return undefined;
    return {
      masterKey: entry.keyTicket.subarray(0, MASTER_KEY_BYTES),
      ticket: entry.keyTicket.subarray(MASTER_KEY_BYTES),
    };
  }

  /** Keeps a ticket that a bridge has issued, instead of the one before it. */
  put(bridge: Endpoint, keyTicket: Uint8Array): void {
    this.#entries.set(formatEndpoint(bridge), { keyTicket, issuedAt: epochSeconds(this.#clock) });
    this.#save();
  }

  #isValid({ issuedAt }: Entry): boolean {
    return issuedAt + TICKET_LIFETIME_SECONDS > epochSeconds(this.#clock);
  }

  async #load(): Promise<void> {
    let fields: Record<string, { 'key-ticket'?: unknown; issuedAt?: unknown } | null>;
    try {
      const content = await this.#state.read(FILE);
      if (content === undefined) return;
      fields = JSON.parse(Buffer.from(content).toString('utf8')) as typeof fields;
    } catch {
      return;
    }
    for (const [bridge, json] of Object.entries(fields ?? {})) {
      const keyTicket = parseBase32(String(json?.['key-ticket']));
      const entry = { keyTicket, issuedAt: Number(json?.issuedAt) };
      if (keyTicket?.length !== KEY_TICKET_BYTES || !this.#isValid(entry as Entry)) continue;
      if (!this.#entries.has(bridge)) this.#entries.set(bridge, entry as Entry);
    }
  }

  /** Writes the file; what changes meanwhile is written once more when that is done. */
  #save(): void {
    this.#changed = true;
    if (!this.#saving) unawaited(() => this.#drain());
  }

  async #drain(): Promise<void> {
    this.#saving = true;
    await this.ready;
    while (this.#changed) {
      this.#changed = false;
      // Without a saved ticket the next run begins with a UniformDH handshake: nothing else is lost.
      await this.#state.write(FILE, Buffer.from(this.#format())).catch(() => {});
    }
    this.#saving = false;
  }

  #format(): string {
    const valid = [...this.#entries].filter(([, entry]) => this.#isValid(entry));
    return JSON.stringify(
      Object.fromEntries(
        valid.map(([bridge, { keyTicket, issuedAt }]) => [
          bridge,
          { 'key-ticket': formatBase32(keyTicket), issuedAt },
        ]),
      ),
    );
  }
}

/** Connections come one by one, each with its own arguments; the state is what they have in common. */
const stores = new WeakMap<StateStore, TicketStore>();
