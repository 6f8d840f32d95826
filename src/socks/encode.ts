/** Encoders; each returns one fresh array. */
import { Writer } from '../bytes/writer.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { ipToBytes, type Endpoint } from '../pt/address.ts';
import {
  AddressType,
  CONNECT,
  isHostName,
  Socks4Reply,
  SocksReply,
  UNSPECIFIED,
} from './messages.ts';

/** The client's greeting: `05 NMETHODS METHODS`. */
export function encodeGreeting(methods: readonly number[]): Buffer {
  return new Writer().uint8(5).uint8(methods.length).bytes(Uint8Array.from(methods)).finish();
}

/** The server's choice: `05 METHOD`. */
export function encodeMethodChoice(method: number): Buffer {
  return Buffer.of(5, method);
}

/**
 * Username and password: `01 ULEN UNAME PLEN PASSWD` (RFC 1929).
 *
 * Throws `ERR_TUNNEL_UNENCODABLE` unless the user name has 1..255 bytes and the password 0..255.
 */
export function encodeUserPass(username: Uint8Array, password: Uint8Array): Buffer {
  if (username.length === 0 || username.length > 255 || password.length > 255) {
    throw unencodable('SOCKS5 carries a user name of 1 to 255 bytes and a password of up to 255');
  }
  return new Writer()
    .uint8(1)
    .uint8(username.length)
    .bytes(username)
    .uint8(password.length)
    .bytes(password)
    .finish();
}

/** The verdict on username and password: `01 STATUS`. */
export function encodeUserPassStatus(accepted: boolean): Buffer {
  return Buffer.of(1, accepted ? 0 : 1);
}

/** A SOCKS5 CONNECT request. Throws `ERR_TUNNEL_UNENCODABLE` for a host that is neither IP nor name. */
export function encodeRequest5(target: Endpoint): Buffer {
  return new Writer().uint8(5).uint8(CONNECT).uint8(0).bytes(encodeAddress(target)).finish();
}

/** A SOCKS5 reply. */
export function encodeReply5(code: number, bound?: Endpoint): Buffer {
  const address = bound === undefined ? UNSPECIFIED_ADDRESS : encodeAddress(bound);
  return new Writer().uint8(5).uint8(code).uint8(0).bytes(address).finish();
}

/**
 * A SOCKS4 or SOCKS4a CONNECT request.
 *
 * Throws `ERR_TUNNEL_UNENCODABLE` for IPv6, for 0.0.0.x, for a host name when `version` is
 * `socks4`, and for a user id that holds a NUL or is over the limit.
 */
export function encodeRequest4(
  version: 'socks4' | 'socks4a',
  target: Endpoint,
  userId: Uint8Array,
): Buffer {
  if (userId.includes(0) || userId.length > limits.socksUserIdBytes) {
    throw unencodable(`a SOCKS4 user id has no NUL and up to ${limits.socksUserIdBytes} bytes`);
  }
  const address = ipToBytes(target.host);
  const byName = address === undefined && version === 'socks4a' && isHostName(target.host);
  if (!byName && (address?.length !== 4 || address.subarray(0, 3).every((byte) => byte === 0))) {
    throw unencodable(
      version === 'socks4'
        ? 'SOCKS4 reaches IPv4 addresses only'
        : 'SOCKS4a reaches IPv4 addresses and host names only',
    );
  }
  const writer = new Writer()
    .uint8(4)
    .uint8(CONNECT)
    .uint16(target.port)
    .bytes(byName ? Uint8Array.of(0, 0, 0, 1) : address!)
    .bytes(userId)
    .uint8(0);
  if (byName) writer.bytes(Buffer.from(target.host, 'latin1')).uint8(0);
  return writer.finish();
}

/** A SOCKS4 reply for a SOCKS5 code: SOCKS4 knows granted and rejected only. */
export function encodeReply4(code: number): Buffer {
  const granted = code === SocksReply.succeeded;
  return Buffer.of(0, granted ? Socks4Reply.granted : Socks4Reply.rejected, 0, 0, 0, 0, 0, 0);
}

/** `ATYP ADDR PORT`. */
function encodeAddress(endpoint: Endpoint): Buffer {
  const address = ipToBytes(endpoint.host);
  const writer = new Writer();
  if (address !== undefined) {
    writer.uint8(address.length === 4 ? AddressType.ipv4 : AddressType.ipv6).bytes(address);
  } else if (isHostName(endpoint.host)) {
    const name = Buffer.from(endpoint.host, 'latin1');
    writer.uint8(AddressType.hostName).uint8(name.length).bytes(name);
  } else {
    throw unencodable('the target is neither an IP address nor a host name');
  }
  return writer.uint16(endpoint.port).finish();
}

const UNSPECIFIED_ADDRESS: Uint8Array = encodeAddress(UNSPECIFIED);

function unencodable(what: string): PosternError {
  return new PosternError('ERR_TUNNEL_UNENCODABLE', what);
}
