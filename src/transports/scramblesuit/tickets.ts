/**
 * Session tickets on the server's side: all that the server needs to know of a session, encrypted under keys
 * that only it has. So it need not remember any client.
 *
 * ticket = IV(16) ‖ encrypted state(64) ‖ HMAC-SHA256(32)
 * state  = issued at, in seconds(4) ‖ master key(32) ‖ zeros(28)
 *
 * Nobody but the server reads a ticket, so the cipher is its own choice: AES-128-CTR here.
 */
import type { Clock } from '../../time.ts';
import { AesCtrStream } from '../../crypto/aes-ctr.ts';
import { equalInConstantTime, hmacSha256 } from '../../crypto/hash.ts';
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import type { Sources } from '../contract.ts';
import { MASTER_KEY_BYTES } from './keys.ts';

export const TICKET_BYTES = 112;
const IV_BYTES = 16;
const STATE_BYTES = 64;
const MASTER_KEY_AT = 4;
/** Tickets are valid for this long, and so are the keys that make them. */
export const TICKET_LIFETIME_SECONDS: number = 7 * 24 * 60 * 60;

/** A ticket in the hands of a client, with the master key that it stands for. */
export interface Ticket {
  readonly ticket: Uint8Array;
  readonly masterKey: Uint8Array;
}

/** What a server makes tickets with. */
export interface TicketKeys {
  /** Seconds since the Unix epoch. */
  readonly createdAt: number;
  /** 16 bytes. */
  readonly aesKey: Uint8Array;
  /** 32 bytes. */
  readonly hmacKey: Uint8Array;
}

/** The keys of a server, newest first: the ones in use, and those before them. */
export type TicketKeyRing = readonly [TicketKeys, TicketKeys?];

/** What the replay filter remembers of a redeemed ticket: 16 bytes that the server's key authenticates. */
export function ticketId(ticket: Uint8Array): Uint8Array {
  return ticket.subarray(TICKET_BYTES - 16);
}

export function createTicketKeys(rng: Rng, clock: Clock): TicketKeys {
  return {
    createdAt: epochSeconds(clock),
    aesKey: randomBytes(rng, 16),
    hmacKey: randomBytes(rng, 32),
  };
}

export function epochSeconds(clock: Clock): number {
  return Math.floor(clock.epochMs() / 1000);
}

/** Issues tickets and opens them again, and rotates the keys. */
export class TicketIssuer {
  readonly #rng: Rng;
  readonly #clock: Clock;
  readonly #onRotation: (keys: TicketKeyRing) => void;
  #keys: TicketKeyRing;

  /** @param onRotation told the new keys, to save them */
  constructor(keys: TicketKeyRing, sources: Sources, onRotation: (keys: TicketKeyRing) => void) {
    this.#keys = keys;
    this.#rng = sources.rng;
    this.#clock = sources.clock;
    this.#onRotation = onRotation;
  }

  /** A new ticket for a new master key. */
  issue(): Ticket {
    this.#rotateWhenDue();
    const [{ aesKey, hmacKey }] = this.#keys;
    const masterKey = randomBytes(this.#rng, MASTER_KEY_BYTES);
    const state = Buffer.alloc(STATE_BYTES);
    state.writeUInt32BE(epochSeconds(this.#clock), 0);
    masterKey.copy(state, MASTER_KEY_AT);
    const iv = randomBytes(this.#rng, IV_BYTES);
    const sealed = Buffer.concat([iv, new AesCtrStream(aesKey, iv).process(state)]);
    return { masterKey, ticket: Buffer.concat([sealed, hmacSha256(hmacKey, sealed)]) };
  }

  /**
   * The master key in a ticket that this server has issued, with its keys of now or before.
   *
   * @param bytes `TICKET_BYTES` of anything
   * @returns undefined when it is no ticket of ours, or too old
   */
  open(bytes: Uint8Array): Uint8Array | undefined {
    this.#rotateWhenDue();
    const sealed = bytes.subarray(0, IV_BYTES + STATE_BYTES);
    const mac = bytes.subarray(IV_BYTES + STATE_BYTES);
    for (const keys of this.#keys) {
      if (keys === undefined || !equalInConstantTime(hmacSha256(keys.hmacKey, sealed), mac))
        continue;
      const stream = new AesCtrStream(keys.aesKey, sealed.subarray(0, IV_BYTES));
      const state = stream.process(sealed.subarray(IV_BYTES));
      const ageSeconds = epochSeconds(this.#clock) - state.readUInt32BE(0);
      if (ageSeconds >= TICKET_LIFETIME_SECONDS) return undefined;
      return state.subarray(MASTER_KEY_AT, MASTER_KEY_AT + MASTER_KEY_BYTES);
    }
    return undefined;
  }

  #rotateWhenDue(): void {
    const [current] = this.#keys;
    if (epochSeconds(this.#clock) - current.createdAt < TICKET_LIFETIME_SECONDS) return;
    this.#keys = [createTicketKeys(this.#rng, this.#clock), current];
    this.#onRotation(this.#keys);
  }
}
