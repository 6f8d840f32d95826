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
  type Socks5ReplyMessage,
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
  if (bytes.length > 0 && bytes[0] !== 5) throw notSocks5();
  return bytes.length < 2 ? NEED_MORE : { message: bytes[1]!, length: 2 };
}

/**
 * Username and password: `01 ULEN UNAME PLEN PASSWD` (RFC 1929).
 *
 * RFC 1929 wants 1 to 255 bytes in each. An empty PASSWD is tolerated, for curl sends one when it
 * was given a user name alone; an empty UNAME has no meaning and no known sender, and is refused.
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
  if (usernameEnd === 2) throw malformed('the user name is empty');
  if (bytes.length <= usernameEnd) return NEED_MORE;
  const length = usernameEnd + 1 + bytes[usernameEnd]!;
  if (bytes.length < length) return NEED_MORE;
  const username = Uint8Array.from(bytes.subarray(2, usernameEnd));
  const password = Uint8Array.from(bytes.subarray(usernameEnd + 1, length));
  return { message: { type: 'userPass', username, password }, length };
}

/** The verdict on username and password: `01 STATUS`, zero for yes. Throws `ERR_TUNNEL_MALFORMED`. */
export function decodeUserPassStatus(bytes: Uint8Array): Result<number> {
  if (bytes.length > 0 && bytes[0] !== 1) {
    throw new PosternError(
      'ERR_TUNNEL_MALFORMED',
      'the proxy’s answer to username and password has a version other than 1',
    );
  }
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
  if (bytes.length > 2 && bytes[2] !== 0) throw malformed('the reserved byte is not zero');
  const address = decodeAddress(bytes);
  if (address === NEED_MORE) return NEED_MORE;
  if (address === 'unknown type') {
    throw new PosternError('ERR_SOCKS_ADDRESS_UNSUPPORTED', 'the address type is a reserved one');
  }
  if (address === 'bad name') throw malformed('the target is not a host name');
  return address;
}

/** A SOCKS5 reply: `05 REP 00 ATYP BND.ADDR BND.PORT`. Throws `ERR_TUNNEL_MALFORMED`. */
export function decodeReply5(bytes: Uint8Array): Result<Socks5ReplyMessage> {
  if (bytes.length > 0 && bytes[0] !== 5) throw notSocks5();
  const address = decodeAddress(bytes);
  if (address === NEED_MORE) return NEED_MORE;
  if (address === 'unknown type' || address === 'bad name') {
    throw new PosternError('ERR_TUNNEL_MALFORMED', 'the proxy’s reply holds no valid address');
  }
  return { message: { code: bytes[1]!, bound: address.message }, length: address.length };
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

/** A SOCKS4 reply: `00 CD` and six bytes without meaning. Throws `ERR_TUNNEL_MALFORMED`. */
export function decodeReply4(bytes: Uint8Array): Result<number> {
  if (bytes.length > 0 && bytes[0] !== 0) {
    throw new PosternError('ERR_TUNNEL_MALFORMED', 'the proxy’s reply is not of SOCKS version 4');
  }
  return bytes.length < 8 ? NEED_MORE : { message: bytes[1]!, length: 8 };
}

/** `ATYP ADDR PORT`, which stand at offset 3 in a SOCKS5 request and in its reply. */
function decodeAddress(bytes: Uint8Array): Result<Endpoint> | 'unknown type' | 'bad name' {
  if (bytes.length < 4) return NEED_MORE;
  let start = 4;
  let end: number;
  switch (bytes[3]) {
    case AddressType.ipv4:
      end = start + 4;
      break;
    case AddressType.ipv6:
      end = start + 16;
      break;
    case AddressType.hostName:
      if (bytes.length < 5) return NEED_MORE;
      start = 5;
      end = start + bytes[4]!;
      break;
    default:
      return 'unknown type';
  }
  if (bytes.length < end + 2) return NEED_MORE;
  const field = bytes.subarray(start, end);
  const host = bytes[3] === AddressType.hostName ? hostFromBytes(field) : bytesToIp(field);
  if (host === undefined) return 'bad name';
  return { message: { host, port: (bytes[end]! << 8) | bytes[end + 1]! }, length: end + 2 };
}

/** A host-name field as text, or canonical when it holds an IP literal; undefined when it is neither. */
function hostFromBytes(field: Uint8Array): string | undefined {
  const text = Buffer.from(field.buffer, field.byteOffset, field.length).toString('latin1');
  const address = ipToBytes(text);
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

function notSocks5(): PosternError {
  return new PosternError('ERR_TUNNEL_MALFORMED', 'the proxy’s answer is not of SOCKS version 5');
}
