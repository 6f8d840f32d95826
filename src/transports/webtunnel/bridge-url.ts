/** `url`: where a webtunnel bridge is, as both ends have it. */
import { sha256 } from '../../crypto/hash.ts';
import { PosternError } from '../../errors.ts';
import { bytesToIp, ipToBytes, type Endpoint } from '../../pt/address.ts';

/** What a URL of a bridge says. */
export interface BridgeUrl {
  readonly isSecure: boolean;
  /** A name in lower case, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Whether the scheme has another port. */
  readonly hasOddPort: boolean;
  /** The escaped path as it was written; `/` for none. */
  readonly path: string;
}

/**
 * Reads it. Query, fragment and user are dropped, as every client of webtunnel does.
 *
 * @throws PosternError `ERR_TRANSPORT_ARGUMENT`
 */
export function parseBridgeUrl(text: string): BridgeUrl {
  // By hand: `new URL` rewrites paths, and the path is the secret that both ends compare byte for byte.
  const match = URL_FORM.exec(text);
  if (match === null) {
    throw fault('`url` is not https://host/path or http://host/path, with printable ASCII in it');
  }
  const [, scheme, bracketed, name, portText, path = ''] = match;
  const isSecure = scheme!.toLowerCase() === 'https';
  const literal = ipToBytes(bracketed ?? name!);
  if (bracketed !== undefined && literal === undefined) throw fault('`url` holds no IPv6 address');
  const defaultPort = isSecure ? 443 : 80;
  const port = portText === undefined || portText === '' ? defaultPort : Number(portText);
  if (port < 1 || port > 65_535) throw fault('`url` has a port outside 1..65535');
  return {
    isSecure,
    host: literal === undefined ? name!.toLowerCase() : bytesToIp(literal),
    port,
    hasOddPort: port !== defaultPort,
    path: path === '' ? '/' : path,
  };
}

const URL_FORM: RegExp =
  /^(https?):\/\/(?:[^/?#@]*@)?(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?\.?))(?::([0-9]{0,5}))?(\/[\x21\x22\x24-\x3e\x40-\x7e]*)?(?:[?#][\x21-\x7e]*)?$/i;

/** The Host header that a browser would send. */
export function hostHeader({ host, port, hasOddPort }: BridgeUrl): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return hasOddPort ? `${name}:${port}` : name;
}

/** Whether it is a name, which SNI can carry, and not an address. */
export function isName(host: string): boolean {
  return ipToBytes(host) === undefined;
}

/**
 * What stands for the address of a bridge in its line, where tor wants one: it is that of its web server, which
 * the URL tells. 2001:db8::/32, and bytes 4 to 15 of SHA-256("WEBTUNNEL+" ‖ url).
 */
export function syntheticEndpoint(url: string): Endpoint {
  const digest = sha256(Buffer.from(`WEBTUNNEL+${url}`));
  const bytes = Buffer.concat([SYNTHETIC_PREFIX, digest.subarray(4, 16)]);
  return { host: bytesToIp(bytes), port: 443 };
}

const SYNTHETIC_PREFIX: Buffer = Buffer.from('20010db8', 'hex');

function fault(message: string): PosternError {
  return new PosternError('ERR_TRANSPORT_ARGUMENT', `webtunnel: ${message}`);
}
