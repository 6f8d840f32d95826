/** The identity of an obfs4 bridge, and the arguments and options that carry it. */
import { randomBytes, randomPrintable, type Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import { IatMode } from './shaping.ts';

/** What a client knows of a bridge. */
export interface BridgeIdentity {
  /** 20 bytes. */
  readonly nodeId: Uint8Array;
  /** B: an X25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** What a bridge knows of itself. */
export interface ServerIdentity extends BridgeIdentity {
  /** b: an X25519 private key, 32 bytes. */
  readonly privateKey: Uint8Array;
}

export const NODE_ID_BYTES = 20;
export const KEY_BYTES = 32;

/** `cert`: base64 of node id ‖ public key, without its padding. */
export function formatCert({ nodeId, publicKey }: BridgeIdentity): string {
  return Buffer.concat([nodeId, publicKey]).toString('base64').replace(/=+$/, '');
}

function parseCert(text: string): BridgeIdentity {
  const bytes = Buffer.from(text, 'base64');
  // Buffer skips what it cannot read, so the text must come back the same.
  const canonical = bytes.toString('base64').replace(/=+$/, '');
  if (bytes.length !== NODE_ID_BYTES + KEY_BYTES || canonical !== text.replace(/=+$/, '')) {
    throw argumentError('`cert` is not base64 of 52 bytes; it may have been cut');
  }
  // Copied: each connection holds them, and a slice would hold 8 KiB of Node's buffer pool with it.
  return {
    nodeId: Uint8Array.from(bytes.subarray(0, NODE_ID_BYTES)),
    publicKey: Uint8Array.from(bytes.subarray(NODE_ID_BYTES)),
  };
}

/** Draws a client's padding. */
export type DrawPadding = (rng: Rng, byteCount: number) => Buffer;

/**
 * The client's arguments: `cert`, or the older pair `node-id` and `public-key`; `iat-mode`; and `padding`, which
 * is ours and which others do not look at.
 */
export function parseClientArguments(args: KeyValues): {
  bridge: BridgeIdentity;
  iatMode: IatMode;
  drawPadding: DrawPadding;
} {
  const values = new Map(args);
  const cert = values.get('cert');
  // Every line of today has a cert: a line with neither lacks the cert.
  if (!values.has('cert') && !values.has('node-id') && !values.has('public-key')) {
    throw argumentError('`cert` is missing');
  }
  const bridge =
    cert === undefined
      ? {
          nodeId: parseHex('node-id', values.get('node-id'), NODE_ID_BYTES),
          publicKey: parseHex('public-key', values.get('public-key'), KEY_BYTES),
        }
      : parseCert(cert);
  const padding = values.get('padding') ?? 'random';
  if (padding !== 'random' && padding !== 'printable') {
    throw argumentError('`padding` is neither printable nor random');
  }
  const drawPadding = padding === 'printable' ? randomPrintable : randomBytes;
  return { bridge, iatMode: parseIatMode(values.get('iat-mode')), drawPadding };
}

/** `iat-mode`: 0, 1 or 2. */
export function parseIatMode(text: string | undefined): IatMode {
  const mode = Object.values(IatMode).find((value) => String(value) === text);
  if (mode === undefined) throw argumentError('`iat-mode` must be there, and 0, 1 or 2');
  return mode;
}

/** `byteCount` bytes as hexadecimal digits. */
export function parseHex(name: string, text: string | undefined, byteCount: number): Uint8Array {
  if (text === undefined) throw argumentError(`\`${name}\` is missing`);
  if (text.length !== 2 * byteCount || !/^[0-9a-fA-F]*$/.test(text)) {
    throw argumentError(`\`${name}\` is not ${2 * byteCount} hexadecimal digits`);
  }
  return Buffer.from(text, 'hex');
}

/** An error that names the argument and not its value. */
export function argumentError(message: string): PosternError {
  return new PosternError('ERR_TRANSPORT_ARGUMENT', `obfs4: ${message}`);
}
