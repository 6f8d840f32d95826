/**
 * A bridge's identity on disk, in obfs4proxy's own format, so that an operator can swap the program
 * in either direction and keep the bridge line that its users have.
 */
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import { x25519PublicKey } from '../../crypto/x25519.ts';
import { PosternError } from '../../errors.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import type { ServerEnvironment, StateStore } from '../contract.ts';
import { PRNG_SEED_BYTES } from './frames.ts';
import {
  argumentError,
  formatCert,
  KEY_BYTES,
  NODE_ID_BYTES,
  parseHex,
  parseIatMode,
  type ServerIdentity,
} from './identity.ts';
import { IatMode } from './shaping.ts';

/** Everything that a server keeps from one start to the next. */
export interface ServerState {
  readonly identity: ServerIdentity;
  /** 24 bytes, from which the length distribution and the closing delay come. */
  readonly drbgSeed: Uint8Array;
  readonly iatMode: IatMode;
}

const STATE_FILE = 'obfs4_state.json';
const BRIDGE_LINE_FILE = 'obfs4_bridgeline.txt';

/**
 * The state from the server options, else from the state file, else new; saved where it is new.
 *
 * Options: `private-key`, `node-id` and `drbg-seed` in hexadecimal, all or none; `iat-mode` alone
 * changes what the file says.
 *
 * @throws PosternError `ERR_TRANSPORT_ARGUMENT`, `ERR_TRANSPORT_STATE`
 */
export async function loadServerState(
  options: KeyValues,
  { state: store, rng, notify }: ServerEnvironment,
): Promise<ServerState> {
  const values = new Map(options);
  const chosenIatMode = values.has('iat-mode') ? parseIatMode(values.get('iat-mode')) : undefined;
  const given = stateFromOptions(values, chosenIatMode);
  // An identity that the options give is the options' to keep: the file may hold another one.
  const state = given ?? (await loadOrCreate(store, rng, notify, chosenIatMode));
  await store.write(BRIDGE_LINE_FILE, Buffer.from(formatBridgeLineFile(state)));
  return state;
}

/** The arguments that clients of this server need. */
export function clientArguments({ identity, iatMode }: ServerState): KeyValues {
  return [
    ['cert', formatCert(identity)],
    ['iat-mode', String(iatMode)],
  ];
}

async function loadOrCreate(
  store: StateStore,
  rng: Rng,
  notify: ServerEnvironment['notify'],
  chosenIatMode: IatMode | undefined,
): Promise<ServerState> {
  const saved = await loadSaved(store, notify);
  if (saved === undefined) {
    const created = createState(rng, chosenIatMode ?? IatMode.none);
    await saveTwice(store, created);
    return created;
  }
  if (chosenIatMode === undefined || chosenIatMode === saved.iatMode) return saved;
  const changed = { ...saved, iatMode: chosenIatMode };
  await save(store, changed);
  return changed;
}

/** The saved state, or its previous copy; an error, and never a new identity, if neither is whole. */
async function loadSaved(
  store: StateStore,
  notify: ServerEnvironment['notify'],
): Promise<ServerState | undefined> {
  const current = await store.read(STATE_FILE);
  const parsed = current && parseState(current);
  if (typeof parsed === 'object') return parsed;
  const previous = await store.readPrevious(STATE_FILE);
  const restored = previous && parseState(previous);
  const fault = parsed ?? 'is missing';
  if (typeof restored === 'object') {
    notify(`obfs4: ${STATE_FILE} ${fault}; the identity was restored from its previous copy`);
    await saveTwice(store, restored);
    return restored;
  }
  if (current === undefined && previous === undefined) return undefined;
  throw new PosternError(
    'ERR_TRANSPORT_STATE',
    `obfs4: ${store.describe(STATE_FILE)} ${fault}, and there is no whole previous copy; restore it ` +
      'from a backup, or delete it and its previous copy to start anew with another bridge line',
  );
}

/** The state in a file's bytes, or what is wrong with them. */
function parseState(content: Uint8Array): ServerState | string {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(content).toString('utf8'));
  } catch {
    return content.length === 0 ? 'is empty' : 'is not JSON: it was cut or overwritten';
  }
  if (typeof json !== 'object' || json === null) return 'is not the state of an obfs4 server';
  const fields = json as Readonly<Record<string, unknown>>;
  try {
    return parseFields((name) => {
      const field = fields[name];
      return typeof field === 'string' || typeof field === 'number' ? String(field) : undefined;
    });
  } catch (error) {
    if (error instanceof PosternError) return `is damaged: ${error.message}`;
    throw error;
  }
}

function parseFields(field: (name: string) => string | undefined): ServerState {
  const privateKey = parseHex('private-key', field('private-key'), KEY_BYTES);
  const publicKey = x25519PublicKey(privateKey);
  const written = field('public-key');
  if (written !== undefined && !Buffer.from(publicKey).equals(Buffer.from(written, 'hex'))) {
    throw argumentError('`public-key` does not belong to `private-key`');
  }
  return {
    identity: {
      nodeId: parseHex('node-id', field('node-id'), NODE_ID_BYTES),
      privateKey,
      publicKey,
    },
    drbgSeed: parseHex('drbg-seed', field('drbg-seed'), PRNG_SEED_BYTES),
    iatMode: parseIatMode(field('iat-mode') ?? '0'),
  };
}

function stateFromOptions(
  options: ReadonlyMap<string, string>,
  iatMode: IatMode | undefined,
): ServerState | undefined {
  const names = ['private-key', 'node-id', 'drbg-seed'];
  const missing = names.filter((name) => !options.has(name));
  if (missing.length === names.length) return undefined;
  if (missing.length > 0) {
    throw argumentError(
      `the options \`private-key\`, \`node-id\` and \`drbg-seed\` go together: ` +
        `\`${missing.join('` and `')}\` missing; give all three, or none to use the state file`,
    );
  }
  const state = parseFields((name) => (names.includes(name) ? options.get(name) : undefined));
  return { ...state, iatMode: iatMode ?? IatMode.none };
}

function createState(rng: Rng, iatMode: IatMode): ServerState {
  const privateKey = randomBytes(rng, KEY_BYTES);
  return {
    identity: {
      nodeId: randomBytes(rng, NODE_ID_BYTES),
      privateKey,
      publicKey: x25519PublicKey(privateKey),
    },
    drbgSeed: randomBytes(rng, PRNG_SEED_BYTES),
    iatMode,
  };
}

/** So that the previous copy, to fall back on, is whole from the first day and after every repair. */
async function saveTwice(store: StateStore, state: ServerState): Promise<void> {
  await save(store, state);
  await save(store, state);
}

function save(store: StateStore, { identity, drbgSeed, iatMode }: ServerState): Promise<void> {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const json = JSON.stringify({
    'node-id': hex(identity.nodeId),
    'private-key': hex(identity.privateKey),
    'public-key': hex(identity.publicKey),
    'drbg-seed': hex(drbgSeed),
    'iat-mode': iatMode,
  });
  return store.write(STATE_FILE, Buffer.from(json));
}

function formatBridgeLineFile(state: ServerState): string {
  const args = clientArguments(state)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
  return `# The bridge line of this obfs4 server, written anew at each start.
#
# Before you hand it out, replace:
#  <IP ADDRESS>   the public address of the bridge
#  <PORT>         the TCP port that its clients reach
#  <FINGERPRINT>  the fingerprint of the bridge's relay; leave it out without tor

Bridge obfs4 <IP ADDRESS>:<PORT> <FINGERPRINT> ${args}
`;
}
