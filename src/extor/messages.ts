/**
 * The Extended ORPort protocol as values (torspec, ext-orport-spec).
 *
 * After SAFE_COOKIE authentication both sides exchange `COMMAND(2) LENGTH(2) BODY`.
 */
import type { Endpoint } from '../pt/address.ts';

/** Command numbers on the wire. */
export const ExtOrCommand = {
  done: 0x0000,
  userAddr: 0x0001,
  transport: 0x0002,
  okay: 0x1000,
  deny: 0x1001,
  control: 0x1002,
} as const;

/** One message; `unknown` is one that this version has no name for, to be ignored. */
export type ExtOrMessage =
  /** `DONE`: the client has said all about the connection. */
  | { readonly type: 'done' }
  /** `USERADDR`: where the PT client connects from. */
  | { readonly type: 'userAddr'; readonly address: Endpoint }
  /** `TRANSPORT`: the PT name that the connection came through. */
  | { readonly type: 'transport'; readonly name: string }
  /** `OKAY`: payload may flow. */
  | { readonly type: 'okay' }
  /** `DENY`: the connection is refused. */
  | { readonly type: 'deny' }
  /** `CONTROL`: an identifier for a TransportControlPort that was never built; ignored. */
  | { readonly type: 'control' }
  | { readonly type: 'unknown'; readonly command: number };

/** The one authentication type, SAFE_COOKIE. */
export const SAFE_COOKIE = 0x01;

/** Ends the server's list of authentication types. */
export const END_OF_AUTH_TYPES = 0x00;

/** The server's verdict on the client's hash. */
export const AuthStatus = { failure: 0x00, success: 0x01 } as const;

/** Bytes in the cookie, in each nonce and in each hash. */
export const SECRET_BYTES = 32;

/** What a cookie file starts with; the cookie is all that follows. */
export const COOKIE_FILE_HEADER = '! Extended ORPort Auth Cookie !\n';
