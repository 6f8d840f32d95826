/**
 * The key agreement of obfs4: Tor's ntor (tor-spec, section 5.1.4) with obfs4proxy's deviations. The
 * bridge's public key stands twice in the transcript, and the public keys stand there, not the
 * representatives that travelled.
 */
import { hkdfSha256, MacKey } from './hash.ts';
import { x25519 } from './x25519.ts';

/** What an agreement gives. */
export interface NtorResult {
  /** 144 bytes: 72 for the client's direction, then 72 for the server's. */
  readonly keyMaterial: Uint8Array;
  /** 32 bytes with which the server proves that it holds the bridge's private key. */
  readonly auth: Uint8Array;
}

interface KeyPair {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

const PROTOCOL = 'ntor-curve25519-sha256-1';
const PROTOCOL_ID: Uint8Array = Buffer.from(PROTOCOL);
const EXTRACT_KEY: Uint8Array = Buffer.from(`${PROTOCOL}:key_extract`);
const EXTRACT_MAC: MacKey = new MacKey(EXTRACT_KEY);
const VERIFY_MAC: MacKey = new MacKey(Buffer.from(`${PROTOCOL}:key_verify`));
const AUTH_MAC: MacKey = new MacKey(Buffer.from(`${PROTOCOL}:mac`));
const EXPAND_INFO: Uint8Array = Buffer.from(`${PROTOCOL}:key_expand`);
const SERVER: Uint8Array = Buffer.from('Server');
const KEY_MATERIAL_BYTES = 144;

/**
 * The client's half; the caller compares `auth` with the server's, in constant time.
 *
 * @param keyPair the client's ephemeral key pair (x, X)
 * @param serverPublicKey the server's ephemeral public key (Y)
 * @param identityPublicKey the bridge's public key (B)
 * @param nodeId the bridge's 20-byte node ID
 * @returns undefined when a shared secret is all zero: a key was chosen to make it so
 */
export function ntorClient(parameters: {
  readonly keyPair: KeyPair;
  readonly serverPublicKey: Uint8Array;
  readonly identityPublicKey: Uint8Array;
  readonly nodeId: Uint8Array;
}): NtorResult | undefined {
  const { keyPair, serverPublicKey, identityPublicKey, nodeId } = parameters;
  return derive(
    x25519(keyPair.privateKey, serverPublicKey),
    x25519(keyPair.privateKey, identityPublicKey),
    transcript(identityPublicKey, keyPair.publicKey, serverPublicKey, nodeId),
  );
}

/**
 * The server's half.
 *
 * @param keyPair the server's ephemeral key pair (y, Y)
 * @param clientPublicKey the client's ephemeral public key (X)
 * @param identity the bridge's key pair (b, B)
 * @param nodeId the bridge's 20-byte node ID
 * @returns undefined when a shared secret is all zero: the client's key was chosen to make it so
 */
export function ntorServer(parameters: {
  readonly keyPair: KeyPair;
  readonly clientPublicKey: Uint8Array;
  readonly identity: KeyPair;
  readonly nodeId: Uint8Array;
}): NtorResult | undefined {
  const { keyPair, clientPublicKey, identity, nodeId } = parameters;
  return derive(
    x25519(keyPair.privateKey, clientPublicKey),
    x25519(identity.privateKey, clientPublicKey),
    transcript(identity.publicKey, clientPublicKey, keyPair.publicKey, nodeId),
  );
}

/** B ‖ B ‖ X ‖ Y ‖ PROTOID ‖ NODEID. */
function transcript(b: Uint8Array, x: Uint8Array, y: Uint8Array, nodeId: Uint8Array): Uint8Array {
  return Buffer.concat([b, b, x, y, PROTOCOL_ID, nodeId]);
}

function derive(
  ephemeralSecret: Uint8Array | undefined,
  identitySecret: Uint8Array | undefined,
  suffix: Uint8Array,
): NtorResult | undefined {
  if (ephemeralSecret === undefined || identitySecret === undefined) return undefined;
  const secretInput = Buffer.concat([ephemeralSecret, identitySecret, suffix]);
  const keySeed = EXTRACT_MAC.mac(secretInput);
  const verify = VERIFY_MAC.mac(secretInput);
  return {
    keyMaterial: hkdfSha256(EXTRACT_KEY, keySeed, EXPAND_INFO, KEY_MATERIAL_BYTES),
    auth: AUTH_MAC.mac(verify, suffix, SERVER),
  };
}
