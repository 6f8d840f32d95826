/** How a controller proves to Tor that it may control it, and Tor to the controller that it is Tor. */
import { equalInConstantTime } from '../crypto/hash.ts';
import { controlSafeCookieHash } from '../crypto/safe-cookie.ts';
import { PosternError } from '../errors.ts';
import type { TorReply } from './messages.ts';
import { parseKeywords, takeWords } from './words.ts';

/** What Tor says of itself before anyone has authenticated: PROTOCOLINFO. */
export interface TorProtocolInfo {
  /** `NULL`, `HASHEDPASSWORD`, `COOKIE`, `SAFECOOKIE`, and what is to come. */
  readonly methods: readonly string[];
  /** Where Tor keeps the cookie, as it sees its file system. */
  readonly cookiePath?: string;
  /** Such as `0.4.9.11`. */
  readonly version?: string;
}

/** What a controller has to show. */
export interface TorCredentials {
  /** The password whose hash is in `HashedControlPassword`. */
  readonly password?: string;
  /** The cookie file; by default the one that Tor names. */
  readonly cookiePath?: string;
}

/** The one way that is taken. */
export type TorAuthentication =
  | { readonly method: 'NULL' }
  | { readonly method: 'HASHEDPASSWORD'; readonly password: string }
  | { readonly method: 'SAFECOOKIE' | 'COOKIE'; readonly cookiePath: string };

/**
 * Reads a reply to PROTOCOLINFO; lines and methods that are not known are passed over.
 *
 * ```
 * 250-PROTOCOLINFO 1
 * 250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="/run/tor/control.authcookie"
 * 250-VERSION Tor="0.4.9.11"
 * 250 OK
 * ```
 *
 * @throws PosternError `ERR_TOR_CONTROL_PROTOCOL`
 */
export function parseProtocolInfo(reply: TorReply): TorProtocolInfo {
  const found = new Map<string, ReadonlyMap<string, string>>();
  for (const { text } of reply.lines) {
    const [[name = ''], rest] = takeWords(text, 1);
    found.set(name, parseKeywords(rest) ?? new Map());
  }
  const auth = found.get('AUTH');
  const methods = auth?.get('METHODS');
  if (methods === undefined) throw protocolError('names no way to authenticate');
  const cookiePath = auth?.get('COOKIEFILE');
  const version = found.get('VERSION')?.get('Tor');
  return {
    methods: methods.split(','),
    ...(cookiePath !== undefined && { cookiePath }),
    ...(version !== undefined && { version }),
  };
}

/**
 * Chooses the way that gives away least. Nothing where nothing is asked for; a password that the
 * caller gave; SAFECOOKIE, which proves knowledge of the cookie without showing it, and only to a
 * Tor that has proven the same. The cookie itself (COOKIE, all that a Tor from before 2012 offers)
 * goes to whoever asks, so only from a file that the caller named: a false Tor that could name one
 * would be sent 32 bytes of its choice.
 *
 * @throws PosternError `ERR_TOR_CONTROL_AUTHENTICATION`
 */
export function chooseAuthentication(
  info: TorProtocolInfo,
  credentials: TorCredentials,
): TorAuthentication {
  const offers = (method: string): boolean => info.methods.includes(method);
  const { password, cookiePath = info.cookiePath } = credentials;
  if (offers('NULL')) return { method: 'NULL' };
  if (offers('HASHEDPASSWORD') && password !== undefined) {
    return { method: 'HASHEDPASSWORD', password };
  }
  if (offers('SAFECOOKIE')) {
    if (cookiePath !== undefined) return { method: 'SAFECOOKIE', cookiePath };
  } else if (offers('COOKIE') && credentials.cookiePath !== undefined) {
    return { method: 'COOKIE', cookiePath: credentials.cookiePath };
  }
  throw new PosternError('ERR_TOR_CONTROL_AUTHENTICATION', whyNone(info, credentials));
}

function whyNone({ methods }: TorProtocolInfo, { password }: TorCredentials): string {
  if (methods.includes('HASHEDPASSWORD')) return 'Tor asks for its password';
  if (methods.includes('SAFECOOKIE') || methods.includes('COOKIE')) {
    return 'Tor asks for its cookie; the path of the file has to be given';
  }
  return password === undefined
    ? 'Tor offers no way to authenticate that is known here'
    : 'Tor takes no password';
}

/** The line that starts SAFECOOKIE, with 32 random bytes. */
export function formatAuthChallenge(clientNonce: Uint8Array): string {
  return `AUTHCHALLENGE SAFECOOKIE ${hex(clientNonce)}`;
}

/**
 * The controller's proof, for AUTHENTICATE, once Tor's own proof in the reply to AUTHCHALLENGE holds.
 *
 * @throws PosternError `ERR_TOR_CONTROL_FALSE_SERVER`, `ERR_TOR_CONTROL_PROTOCOL`
 */
export function answerAuthChallenge(
  reply: TorReply,
  cookie: Uint8Array,
  clientNonce: Uint8Array,
): Buffer {
  const [[name], rest] = takeWords(reply.text, 1);
  const keywords = parseKeywords(rest);
  const [hash, nonce] = ['SERVERHASH', 'SERVERNONCE'].map((key) => keywords?.get(key) ?? '');
  if (name !== 'AUTHCHALLENGE' || !isDigest(hash!) || !isDigest(nonce!)) {
    throw protocolError('answers AUTHCHALLENGE in an unknown form');
  }
  const serverNonce = Buffer.from(nonce!, 'hex');
  const expected = controlSafeCookieHash('server-to-controller', cookie, clientNonce, serverNonce);
  if (!equalInConstantTime(expected, Buffer.from(hash!, 'hex'))) {
    throw new PosternError('ERR_TOR_CONTROL_FALSE_SERVER', 'the proof of the other end is wrong');
  }
  return controlSafeCookieHash('controller-to-server', cookie, clientNonce, serverNonce);
}

/** AUTHENTICATE with a secret of any bytes; as hex digits, which no quoting can garble. */
export function formatAuthenticate(secret: Uint8Array): string {
  return `AUTHENTICATE ${secret.length === 0 ? '""' : hex(secret)}`;
}

function isDigest(text: string): boolean {
  return /^[0-9A-Fa-f]{64}$/.test(text);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function protocolError(what: string): PosternError {
  return new PosternError('ERR_TOR_CONTROL_PROTOCOL', `Tor ${what}`);
}
