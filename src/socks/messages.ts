/**
 * SOCKS 4, 4a and 5 as values: RFC 1928, RFC 1929, and the two SOCKS 4 memos by NEC.
 *
 * Only CONNECT is here: a pluggable transport carries nothing else.
 */
import type { Endpoint } from '../pt/address.ts';

/** The version of a request; SOCKS4a is SOCKS4 with a host name in place of an address. */
export type SocksVersion = 'socks4' | 'socks4a' | 'socks5';

/** SOCKS5 authentication methods (RFC 1928, section 3). */
export const SocksMethod = {
  none: 0x00,
  usernamePassword: 0x02,
  noneAcceptable: 0xff,
} as const;

/** SOCKS5 reply codes (RFC 1928, section 6). */
export const SocksReply = {
  succeeded: 0x00,
  generalFailure: 0x01,
  notAllowed: 0x02,
  networkUnreachable: 0x03,
  hostUnreachable: 0x04,
  connectionRefused: 0x05,
  ttlExpired: 0x06,
  commandNotSupported: 0x07,
  addressTypeNotSupported: 0x08,
} as const;

/** SOCKS4 reply codes. */
export const Socks4Reply = {
  granted: 0x5a,
  rejected: 0x5b,
  noIdentd: 0x5c,
  identdMismatch: 0x5d,
} as const;

/** The one command in use, the same in both versions. */
export const CONNECT = 0x01;

/** SOCKS5 address types (RFC 1928, section 5). */
export const AddressType = { ipv4: 0x01, hostName: 0x03, ipv6: 0x04 } as const;

/** The client's raw identification, which is where a PT parent puts transport arguments (PT 3.5). */
export type SocksCredentials =
  | { readonly type: 'none' }
  /** RFC 1929: each at most 255 bytes. */
  | { readonly type: 'userPass'; readonly username: Uint8Array; readonly password: Uint8Array }
  /** SOCKS4: the USERID field without its NUL. */
  | { readonly type: 'userId'; readonly userId: Uint8Array };

/** A CONNECT request, whatever its version. All fields are owned. */
export interface SocksRequest {
  readonly version: SocksVersion;
  readonly target: Endpoint;
  readonly credentials: SocksCredentials;
}

/** Where a proxy that does not tell says that it is bound. */
export const UNSPECIFIED: Endpoint = { host: '0.0.0.0', port: 0 };

/** Whether `host` may stand in a host-name field: no control characters, no separators. */
export function isHostName(host: string): boolean {
  return /^[A-Za-z0-9._-]{1,255}$/.test(host);
}
