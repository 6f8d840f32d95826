import { createHmac, timingSafeEqual } from 'node:crypto';

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
  return createHmac('sha256', cookie)
    .update(`ExtORPort authentication ${direction} hash`, 'latin1')
    .update(clientNonce)
    .update(serverNonce)
    .digest();
}

/** Whether two secrets of public length are equal, in a time that does not depend on where they differ. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
