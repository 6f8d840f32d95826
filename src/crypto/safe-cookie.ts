import { hmacSha256 } from './hash.ts';

/** Which way a hash proves knowledge of the cookie. */
export type SafeCookieDirection = 'server-to-client' | 'client-to-server';

/**
 * The Extended ORPort's SAFE_COOKIE hash (ext-orport-spec, section 2.1.1): HMAC-SHA256 with the
 * cookie as key over a label and both nonces, 32 bytes.
 */
export function safeCookieHash(
  direction: SafeCookieDirection,
  cookie: Uint8Array,
  clientNonce: Uint8Array,
  serverNonce: Uint8Array,
): Buffer {
  const label = Buffer.from(`ExtORPort authentication ${direction} hash`, 'latin1');
  return hmacSha256(cookie, label, clientNonce, serverNonce);
}

/** As above, on Tor's control port. */
export type ControlSafeCookieDirection = 'server-to-controller' | 'controller-to-server';

/**
 * The control port's SAFECOOKIE hash (control-spec, AUTHCHALLENGE): here the label is the key, and
 * the cookie stands before the nonces; 32 bytes.
 */
export function controlSafeCookieHash(
  direction: ControlSafeCookieDirection,
  cookie: Uint8Array,
  clientNonce: Uint8Array,
  serverNonce: Uint8Array,
): Buffer {
  const label = Buffer.from(`Tor safe cookie authentication ${direction} hash`, 'latin1');
  return hmacSha256(label, cookie, clientNonce, serverNonce);
}
