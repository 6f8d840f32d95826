/**
 * Decoders over the front of a byte stream: a message, `NEED_MORE`, or a thrown error.
 *
 * What comes back is owned. Every length is bounded, by its own octet or by a limit.
 */
import { NEED_MORE, type Decoded } from '../bytes/decoded.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { bytesToIp, ipToBytes, type Endpoint } from '../pt/address.ts';
import {
  AddressType,
  CONNECT,
  isHostName,
  SocksReply,
  type SocksCredentials,
  type SocksRequest,
} from './messages.ts';

type Result<T> = Decoded<T> | typeof NEED_MORE;

/**
 * The client's greeting: `05 NMETHODS METHODS`.
 *
 * @returns the methods offered, perhaps none
 */
export function decodeGreeting(bytes: Uint8Array): Result<readonly number[]> {
  if (bytes.length < 2) return NEED_MORE;
  const length = 2 + bytes[1]!;
  if (bytes.length < length) return NEED_MORE;
  return { message: [...bytes.subarray(2, length)], length };
}

/** The server's choice: `05 METHOD`. Throws `ERR_TUNNEL_MALFORMED`. */
export function decodeMethodChoice(bytes: Uint8Array): Result<number> {
  if (bytes.length > 0 && bytes[0] !== 5) throw otherProtocol(bytes[0]!);
  return bytes.length < 2 ? NEED_MORE : { message: bytes[1]!, length: 2 };
}

/**
 * Username and password: `01 ULEN UNAME PLEN PASSWD` (RFC 1929).
 *
 * RFC 1929 wants 1 to 255 bytes in each. Empty ones are taken, as tor takes them: curl sends an empty
 * PASSWD when it was given a user name alone, and applications an empty UNAME with a password alone.
 *
 * Throws `ERR_SOCKS_MALFORMED`.
 */
export function decodeUserPass(
  bytes: Uint8Array,
): Result<Extract<SocksCredentials, { type: 'userPass' }>> {
  if (bytes.length > 0 && bytes[0] !== 1) {
    throw malformed('the username/password message has a version other than 1');
  }
  if (bytes.length < 2) return NEED_MORE;
  const usernameEnd = 2 + bytes[1]!;
  if (bytes.length <= usernameEnd) return NEED_MORE;
  const length = usernameEnd + 1 + bytes[usernameEnd]!;
  if (bytes.length < length) return NEED_MORE;
  const username = Uint8Array.from(bytes.subarray(2, usernameEnd));
  const password = Uint8Array.from(bytes.subarray(usernameEnd + 1, length));
  return { message: { type: 'userPass', username, password }, length };
}

/**
 * The verdict on username and password: `01 STATUS`, zero for yes. The version is not looked at, as tor
 * and curl have it: there are proxies that put 0 there, or 5.
 */
export function decodeUserPassStatus(bytes: Uint8Array): Result<number> {
  return bytes.length < 2 ? NEED_MORE : { message: bytes[1]!, length: 2 };
}

/**
 * A SOCKS5 request: `05 CMD 00 ATYP DST.ADDR DST.PORT`.
 *
 * Throws `ERR_SOCKS_MALFORMED`, `ERR_SOCKS_COMMAND_UNSUPPORTED` and
 * `ERR_SOCKS_ADDRESS_UNSUPPORTED`, each as soon as the byte that says so is there.
 */
export function decodeRequest5(bytes: Uint8Array): Result<Endpoint> {
  if (bytes.length > 0 && bytes[0] !== 5) throw malformed('the request is not of version 5');
  if (bytes.length > 1 && bytes[1] !== CONNECT) throw commandUnsupported();
  const address = decodeAddress(bytes);
  if (address === NEED_MORE) return NEED_MORE;
  if (address === 'unknown type') {
    throw new PosternError('ERR_SOCKS_ADDRESS_UNSUPPORTED', 'the address type is a reserved one');
  }
  if (address === 'bad name') throw malformed('the target is not a host name');
  return address;
}

/**
 * The code of a SOCKS5 reply: `05 REP 00 ATYP BND.ADDR BND.PORT`. The address is measured, since
 * payload follows it, and not read; behind a failure nothing follows, and whatever stands there, or does
 * not, the reason holds. Throws `ERR_TUNNEL_MALFORMED`.
 */
export function decodeReply5(bytes: Uint8Array): Result<number> {
  if (bytes.length < 2) return NEED_MORE;
  const code = bytes[1]!;
  if (code !== SocksReply.succeeded) return { message: code, length: 2 };
  const end = measureAddress(bytes);
  if (end === NEED_MORE) return NEED_MORE;
  if (end === 'unknown type') {
    throw new PosternError('ERR_TUNNEL_MALFORMED', 'the end of the proxy’s reply cannot be found');
  }
  return { message: code, length: end };
}

/**
 * A SOCKS4 or SOCKS4a request: `04 01 DSTPORT DSTIP USERID 00 [HOST 00]`.
 *
 * The credentials are always `userId`. Throws `ERR_SOCKS_MALFORMED`,
 * `ERR_SOCKS_COMMAND_UNSUPPORTED` and, for a USERID or a host without an end, `ERR_BYTES_OVERFLOW`.
 */
export function decodeRequest4(bytes: Uint8Array): Result<SocksRequest> {
  if (bytes.length > 0 && bytes[0] !== 4) throw malformed('the request is not of version 4');
  if (bytes.length > 1 && bytes[1] !== CONNECT) throw commandUnsupported();
  if (bytes.length < 9) return NEED_MORE;
  const port = (bytes[2]! << 8) | bytes[3]!;
  const address = bytes.subarray(4, 8);
  const userIdEnd = findNul(bytes, 8, limits.socksUserIdBytes, 'USERID');
  if (userIdEnd === NEED_MORE) return NEED_MORE;
  const userId = Uint8Array.from(bytes.subarray(8, userIdEnd));
  const credentials = { type: 'userId', userId } as const;
  // SOCKS4a: an address 0.0.0.x with x not zero says that a host name follows.
  if (address[0] !== 0 || address[1] !== 0 || address[2] !== 0 || address[3] === 0) {
    const target = { host: bytesToIp(address), port };
    return { message: { version: 'socks4', target, credentials }, length: userIdEnd + 1 };
  }
  const hostEnd = findNul(bytes, userIdEnd + 1, limits.socksHostBytes, 'host name');
  if (hostEnd === NEED_MORE) return NEED_MORE;
  const host = hostFromBytes(bytes.subarray(userIdEnd + 1, hostEnd));
  if (host === undefined) throw malformed('the target is not a host name');
  return {
    message: { version: 'socks4a', target: { host, port }, credentials },
    length: hostEnd + 1,
  };
}

/**
 * The code of a SOCKS4 reply: `00 CD` and six bytes without meaning. Proxies that begin it with 4 are
 * understood; those of another kind are not. Throws `ERR_TUNNEL_MALFORMED`.
 */
export function decodeReply4(bytes: Uint8Array): Result<number> {
  if (bytes.length > 0 && bytes[0] !== 0 && bytes[0] !== 4) throw otherProtocol(bytes[0]!);
  return bytes.length < 8 ? NEED_MORE : { message: bytes[1]!, length: 8 };
}

/** `ATYP ADDR PORT`, which stand at offset 3 in a SOCKS5 request. */
function decodeAddress(bytes: Uint8Array): Result<Endpoint> | 'unknown type' | 'bad name' {
  const end = measureAddress(bytes);
  if (typeof end !== 'number') return end;
  const isName = bytes[3] === AddressType.hostName;
  const field = bytes.subarray(isName ? 5 : 4, end - 2);
  const host = isName ? hostFromBytes(field) : bytesToIp(field);
  if (host === undefined) return 'bad name';
  return { message: { host, port: (bytes[end - 2]! << 8) | bytes[end - 1]! }, length: end };
}

/** Where a SOCKS5 request or reply ends, by the address in it. */
function measureAddress(bytes: Uint8Array): number | typeof NEED_MORE | 'unknown type' {
  if (bytes.length < 4) return NEED_MORE;
  let end: number;
  switch (bytes[3]) {
    case AddressType.ipv4:
      end = 10;
      break;
    case AddressType.ipv6:
      end = 22;
      break;
    case AddressType.hostName:
      if (bytes.length < 5) return NEED_MORE;
      end = 7 + bytes[4]!;
      break;
    default:
      return 'unknown type';
  }
  return bytes.length < end ? NEED_MORE : end;
}

/**
 * A host-name field as text, or canonical when it holds an IP literal, in brackets or without, as
 * applications take it out of a URL; undefined when it is neither.
 */
function hostFromBytes(field: Uint8Array): string | undefined {
  const text = Buffer.from(field.buffer, field.byteOffset, field.length).toString('latin1');
  const address = ipToBytes(text.replace(/^\[(.*:.*)\]$/s, '$1'));
  if (address !== undefined) return bytesToIp(address);
  return isHostName(text) ? text : undefined;
}

/** The offset of the NUL that ends a field of at most `maxBytes` bytes from `start`. */
function findNul(
  bytes: Uint8Array,
  start: number,
  maxBytes: number,
  field: string,
): number | typeof NEED_MORE {
  const end = bytes.subarray(start, start + maxBytes + 1).indexOf(0);
  if (end !== -1) return start + end;
  if (bytes.length - start <= maxBytes) return NEED_MORE;
  throw new PosternError('ERR_BYTES_OVERFLOW', `the ${field} is longer than ${maxBytes} bytes`);
}

function malformed(what: string): PosternError {
  return new PosternError('ERR_SOCKS_MALFORMED', what);
}

function commandUnsupported(): PosternError {
  return new PosternError('ERR_SOCKS_COMMAND_UNSUPPORTED', 'the client asked for BIND or UDP');
}

/** Told to a user who configured an HTTP proxy as a SOCKS proxy. */
export const IS_HTTP = 'this is an HTTP proxy: use http://… (in a torrc HTTPSProxy)';

/** What answers there is no SOCKS proxy, or not of this version. */
function otherProtocol(first: number): PosternError {
  const what =
    first === 0x48 // the H of HTTP/1.1
      ? IS_HTTP
      : first === 0 || first === 4 || first === 5
        ? 'the proxy speaks another version of SOCKS'
        : 'the proxy’s answer is no SOCKS';
  return new PosternError('ERR_TUNNEL_MALFORMED', what);
}
