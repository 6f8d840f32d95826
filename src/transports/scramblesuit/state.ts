/** What a ScrambleSuit server keeps from one start to the next, so that its bridge line stays valid. */
import { randomBytes } from '../../crypto/rng.ts';
import type { Sources } from '../contract.ts';
import type { StateFields, StateFormat } from '../kept-state.ts';
import { PASSWORD_BYTES, parsePassword } from './arguments.ts';
import { formatBase32 } from './base32.ts';
import { PRNG_SEED_BYTES } from './shaping.ts';
import { createTicketKeys, type TicketKeyRing, type TicketKeys } from './tickets.ts';

/** The state of a server. */
export interface ServerState {
  /** 20 bytes: what clients are given when the options name no other. */
  readonly password: Uint8Array;
  /** 32 bytes, from which the distributions and the closing delay come. */
  readonly prngSeed: Uint8Array;
  readonly ticketKeys: TicketKeyRing;
}

/** How it is kept. */
export const stateFormat: StateFormat<ServerState> = {
  transport: 'scramblesuit',
  file: 'scramblesuit_state.json',

  format({ password, prngSeed, ticketKeys: [current, previous] }) {
    return {
      password: formatBase32(password),
      'prng-seed': toHex(prngSeed),
      'ticket-keys': formatTicketKeys(current),
      ...(previous !== undefined && { 'previous-ticket-keys': formatTicketKeys(previous) }),
    };
  },

  parse(fields) {
    const current = parseTicketKeys(fields['ticket-keys']);
    const previous = fields['previous-ticket-keys'];
    return {
      password: parsePassword(String(fields['password'])),
      prngSeed: fromHex(fields['prng-seed'], PRNG_SEED_BYTES),
      ticketKeys: previous === undefined ? [current] : [current, parseTicketKeys(previous)],
    };
  },
};

/** What a first start makes. */
export function createServerState({ rng, clock }: Sources): ServerState {
  return {
    password: randomBytes(rng, PASSWORD_BYTES),
    prngSeed: randomBytes(rng, PRNG_SEED_BYTES),
    ticketKeys: [createTicketKeys(rng, clock)],
  };
}

function formatTicketKeys({ createdAt, aesKey, hmacKey }: TicketKeys): object {
  return { 'created-at': createdAt, aes: toHex(aesKey), hmac: toHex(hmacKey) };
}

function parseTicketKeys(json: unknown): TicketKeys {
  const fields = json as StateFields;
  const createdAt = fields['created-at'];
  if (!Number.isSafeInteger(createdAt)) throw new TypeError('not a time');
  return {
    createdAt: createdAt as number,
    aesKey: fromHex(fields['aes'], 16),
    hmacKey: fromHex(fields['hmac'], 32),
  };
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function fromHex(text: unknown, byteCount: number): Buffer {
  const bytes = Buffer.from(String(text), 'hex');
  if (bytes.length !== byteCount) throw new TypeError('not so many bytes');
  return bytes;
}
