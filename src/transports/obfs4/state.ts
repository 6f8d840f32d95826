/**
 * A bridge's identity on disk, in obfs4proxy's own format, so that an operator can swap the program
 * in either direction and keep the bridge line that its users have.
 */
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import { x25519PublicKey } from '../../crypto/x25519.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import type { ServerContext } from '../contract.ts';
import { KeptState, reasonOf, type StateFormat } from '../kept-state.ts';
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

const BRIDGE_LINE_FILE = 'obfs4_bridgeline.txt';

/**
 * The state from the server options, else from the state file, else new; saved where it is new.
 *
 * Options: `private-key`, `node-id` and `drbg-seed` in hexadecimal, all or none; `iat-mode` alone
 * changes what the file says.
 *
 * @throws PosternError `ERR_TRANSPORT_ARGUMENT`, `ERR_TRANSPORT_STATE`, `ERR_DIRECTORY_UNUSABLE`
 */
export async function loadServerState(
  options: KeyValues,
  context: ServerContext,
): Promise<ServerState> {
  const values = new Map(options);
  const chosenIatMode = values.has('iat-mode') ? parseIatMode(values.get('iat-mode')) : undefined;
  const given = stateFromOptions(values, chosenIatMode);
  // An identity given by options is not saved: the file may hold another one.
  const state = given ?? (await loadOrCreate(context, chosenIatMode));
  await keepBridgeLine(context, state);
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
  context: ServerContext,
  chosenIatMode: IatMode | undefined,
): Promise<ServerState> {
  const kept = new KeptState(stateFormat, context);
  const saved = await kept.load(() => createState(context.rng, chosenIatMode ?? IatMode.none));
  if (chosenIatMode === undefined || chosenIatMode === saved.iatMode) return saved;
  const changed = { ...saved, iatMode: chosenIatMode };
  await kept.save(changed).catch((error: unknown) => {
    context.notify(`obfs4: \`iat-mode\` is not kept for later starts: ${reasonOf(error)}`);
  });
  return changed;
}

const stateFormat: StateFormat<ServerState> = {
  transport: 'obfs4',
  file: 'obfs4_state.json',

  format({ identity, drbgSeed, iatMode }) {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    return {
      'node-id': hex(identity.nodeId),
      'private-key': hex(identity.privateKey),
      'public-key': hex(identity.publicKey),
      'drbg-seed': hex(drbgSeed),
      'iat-mode': iatMode,
    };
  },

  parse(fields) {
    return parseFields((name) => {
      const field = fields[name];
      return typeof field === 'string' || typeof field === 'number' ? String(field) : undefined;
    });
  },
};

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

/** For the operator's convenience: if the disk is full the bridge starts all the same. */
async function keepBridgeLine(
  { state: store, notify }: ServerContext,
  state: ServerState,
): Promise<void> {
  const content = Buffer.from(formatBridgeLineFile(state));
  try {
    const kept = await store.read(BRIDGE_LINE_FILE);
    if (kept === undefined || !content.equals(kept)) await store.write(BRIDGE_LINE_FILE, content);
  } catch (error) {
    notify(`obfs4: the bridge line cannot be saved: ${reasonOf(error)}`);
  }
}

function formatBridgeLineFile(state: ServerState): string {
  const args = clientArguments(state)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
  return `# The bridge line of this obfs4 server, written anew when it changes.
#
# Before you hand it out, replace:
#  <IP ADDRESS>   the public address of the bridge
#  <PORT>         the TCP port that its clients reach
#  <FINGERPRINT>  the fingerprint of the bridge's relay; leave it out without tor

Bridge obfs4 <IP ADDRESS>:<PORT> <FINGERPRINT> ${args}
`;
}
