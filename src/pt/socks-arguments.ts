/**
 * Per-connection arguments, as they travel in the authentication fields of SOCKS (PT 3.5).
 *
 *     arguments = pair *( ";" pair )        pair = key "=" value
 *
 * Inside keys and values `\`, `=` and `;` are written with a backslash. tor does not escape `=`, so
 * the reader takes every `=` after the first unescaped one literally.
 */
import { PosternError } from '../errors.ts';
import { addEscapes, parsePair, splitUnescaped } from './escaping.ts';
import type { KeyValues } from './key-value.ts';

/** Two length bytes bound what SOCKS5 username and password can carry together (RFC 1929). */
export const maxSocks5ArgumentBytes = 510;

/** What RFC 1929 allows in one of its two fields. */
const maxFieldBytes = 255;

/** What stands in the password when the arguments leave nothing for it (PT 3.5). */
const loneNul = Uint8Array.of(0);

/** The two fields of the RFC 1929 sub-negotiation, without their length bytes. */
export interface UserPass {
  readonly username: Uint8Array;
  readonly password: Uint8Array;
}

/**
 * The encoded argument list, `shared-secret=rahasia;secrets-file=/tmp/blob`; empty for no arguments.
 *
 * @throws PosternError `ERR_PT_SOCKS_ARGUMENTS` for an empty key, or a NUL: SOCKS4 ends at it, and in
 *   SOCKS5 a lone one means "no password" (PT 3.5)
 */
export function encodeSocksArguments(args: KeyValues): Uint8Array {
  const text = args
    .map(([key, value]) => {
      if (key === '') throw fault('an argument has an empty key');
      if (key.includes('\0') || value.includes('\0')) throw fault('an argument contains NUL');
      return `${addEscapes(key, /[\\=;]/g)}=${addEscapes(value, /[\\=;]/g)}`;
    })
    .join(';');
  return Buffer.from(text, 'utf8');
}

/**
 * The arguments of an encoded list, in order, duplicates kept.
 *
 * @throws PosternError `ERR_PT_SOCKS_ARGUMENTS` for a pair without `=`, an empty key, a lone
 *   backslash at the end, or bytes that are not UTF-8
 */
export function decodeSocksArguments(encoded: Uint8Array): KeyValues {
  if (encoded.length === 0) return [];
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(encoded);
  } catch {
    throw fault('the arguments are not UTF-8');
  }
  return splitUnescaped(text, ';').map((piece, index) => {
    const pair = parsePair(piece);
    if (typeof pair === 'string') throw fault(`argument ${index + 1} ${pair}`);
    return pair;
  });
}

/**
 * Spreads an encoded list over username and password: up to 255 bytes fit the username and the
 * password is one NUL; of a longer list the first 255 bytes are the username (PT 3.5; tor does the
 * same with exactly 255). The fields are borrowed from `encoded`.
 *
 * @throws PosternError `ERR_PT_SOCKS_ARGUMENTS` for more than 510 bytes, and for an empty list, which
 *   travels without authentication
 */
export function splitForUserPass(encoded: Uint8Array): UserPass {
  if (encoded.length === 0) throw fault('no arguments, so there is nothing to authenticate with');
  if (encoded.length > maxSocks5ArgumentBytes) {
    throw fault(`the arguments take ${encoded.length} bytes; SOCKS5 carries at most 510`);
  }
  const rest = encoded.subarray(maxFieldBytes);
  return {
    username: encoded.subarray(0, maxFieldBytes),
    password: rest.length === 0 ? loneNul : rest,
  };
}

/** The encoded list of both fields: the inverse of `splitForUserPass`. A lone NUL is no password. */
export function joinUserPass(username: Uint8Array, password: Uint8Array): Uint8Array {
  const hasNoPassword = password.length === 1 && password[0] === 0;
  return Buffer.concat(hasNoPassword ? [username] : [username, password]);
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_SOCKS_ARGUMENTS', message);
}
