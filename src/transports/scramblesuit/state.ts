/** What a ScrambleSuit server keeps from one start to the next, so that its bridge line stays good. */
import { randomBytes } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { ServerEnvironment, StateStore } from '../contract.ts';
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

const STATE_FILE = 'scramblesuit_state.json';

/**
 * The saved state, or its previous copy, or a new one at the first start.
 *
 * @throws PosternError `ERR_TRANSPORT_STATE` when it is there and neither copy is whole: never a new
 *   password in silence, for the bridge lines that are out would die
 */
export async function loadServerState(environment: ServerEnvironment): Promise<ServerState> {
  const { state: store, rng, clock, notify } = environment;
  const current = await store.read(STATE_FILE);
  const parsed = current && parseState(current);
  if (parsed !== undefined) return parsed;
  const previous = await store.readPrevious(STATE_FILE);
  const restored = previous && parseState(previous);
  if (restored !== undefined) {
    notify(`scramblesuit: ${STATE_FILE} was damaged and is restored from its previous copy`);
    await saveBothCopies(store, restored);
    return restored;
  }
  if (current !== undefined || previous !== undefined) {
    throw new PosternError(
      'ERR_TRANSPORT_STATE',
      `scramblesuit: ${store.describe(STATE_FILE)} is damaged, and there is no whole previous copy; ` +
        'restore it from a backup, or delete both to start anew with another bridge line',
    );
  }
  const created: ServerState = {
    password: randomBytes(rng, PASSWORD_BYTES),
    prngSeed: randomBytes(rng, PRNG_SEED_BYTES),
    ticketKeys: [createTicketKeys(rng, clock)],
  };
  await saveBothCopies(store, created);
  return created;
}

/** Twice, so that there is a whole previous copy to fall back on from now on. */
async function saveBothCopies(store: StateStore, state: ServerState): Promise<void> {
  await saveServerState(store, state);
  await saveServerState(store, state);
}

export function saveServerState(store: StateStore, state: ServerState): Promise<void> {
  const [current, previous] = state.ticketKeys;
  const json = JSON.stringify({
    password: formatBase32(state.password),
    'prng-seed': toHex(state.prngSeed),
    'ticket-keys': formatTicketKeys(current),
    ...(previous !== undefined && { 'previous-ticket-keys': formatTicketKeys(previous) }),
  });
  return store.write(STATE_FILE, Buffer.from(json));
}

function formatTicketKeys({ createdAt, aesKey, hmacKey }: TicketKeys): object {
  return { 'created-at': createdAt, aes: toHex(aesKey), hmac: toHex(hmacKey) };
}

/** Undefined when a single field is not what it should be. */
function parseState(content: Uint8Array): ServerState | undefined {
  try {
    const fields = JSON.parse(Buffer.from(content).toString('utf8')) as Fields;
    const current = parseTicketKeys(fields['ticket-keys']);
    const previous = fields['previous-ticket-keys'];
    return {
      password: parsePassword(String(fields['password'])),
      prngSeed: fromHex(fields['prng-seed'], PRNG_SEED_BYTES),
      ticketKeys: previous === undefined ? [current] : [current, parseTicketKeys(previous)],
    };
  } catch {
    return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parseTicketKeys(json: unknown): TicketKeys {
  const fields = json as Fields;
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
