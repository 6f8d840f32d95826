/**
 * `TOR_PT_PROXY` (PT 3.2.2): the proxy through which a client's connections leave.
 *
 *     <proxy_type>://[<user_name>[:<password>]@]<ip>:<port>
 *
 *     socks5://tor:test1234@198.51.100.1:8000      http://198.51.100.3:443
 */
import { PosternError } from '../errors.ts';
import { formatEndpoint, parseIpEndpoint, type Endpoint } from './address.ts';

/** An upstream proxy that can be used as it is: type, address and credentials fit together. */
export interface UpstreamProxy {
  readonly type: 'socks5' | 'socks4a' | 'http';
  readonly endpoint: Endpoint;
  /** 1..255 bytes of UTF-8 for socks5; the USERID for socks4a; without ':' for http. */
  readonly username?: string;
  /** Up to 255 bytes of UTF-8 for socks5; never there for socks4a, or without a username. */
  readonly password?: string;
}

/**
 * Reads the URI. The credentials end at the last `@`, so that whatever a raw password contains is
 * harmless; the first `:` in them separates user and password.
 *
 * @throws PosternError `ERR_PT_UPSTREAM_PROXY`; no message quotes user, password or address
 */
export function parseUpstreamProxy(uri: string): UpstreamProxy {
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(.*)$/s.exec(uri);
  if (match === null) throw fault('the URI has no <type>:// at its beginning');
  const type = match[1]!.toLowerCase();
  if (!isProxyType(type))
    throw fault(`upstream proxies of type ${type.slice(0, 20)} are unsupported`);

  const authority = match[2]!;
  const at = authority.lastIndexOf('@');
  const endpoint = parseIpEndpoint(authority.slice(at + 1));
  if (/^[a-z0-9_.-]*[a-z][a-z0-9_.-]*:[0-9]+$/i.test(authority.slice(at + 1))) {
    throw fault(
      'the proxy is given by name: look the address up (getent hosts NAME, or nslookup NAME), and give that',
    );
  }
  if (endpoint === undefined || endpoint.port === 0) {
    throw fault(
      'after the credentials there must be <ip>:<port> and nothing else (IPv6 in brackets)',
    );
  }
  const proxy =
    at === -1 ? { type, endpoint } : { type, endpoint, ...credentials(authority.slice(0, at)) };
  checkCredentials(proxy);
  return proxy;
}

/**
 * The URI of a proxy, credentials percent-encoded (RFC 3986): what every reader of TOR_PT_PROXY
 * understands, ours as well as Go's url.Parse.
 *
 * @throws PosternError `ERR_PT_UPSTREAM_PROXY` for what `parseUpstreamProxy` would refuse
 */
export function formatUpstreamProxy(proxy: UpstreamProxy): string {
  const address = formatEndpoint(proxy.endpoint);
  const endpoint = parseIpEndpoint(address);
  if (endpoint === undefined || endpoint.port === 0) {
    throw fault('the upstream proxy needs an IP address and a port of 1..65535');
  }
  checkCredentials(proxy);
  const { username, password } = proxy;
  const user = username === undefined ? '' : encodeURIComponent(username);
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  return `${proxy.type}://${user}${secret}${username === undefined ? '' : '@'}${address}`;
}

function isProxyType(text: string): text is UpstreamProxy['type'] {
  return text === 'socks5' || text === 'socks4a' || text === 'http';
}

function credentials(userinfo: string): { username: string; password?: string } {
  const colon = userinfo.indexOf(':');
  if (colon === -1) return { username: decodePercent(userinfo) };
  return {
    username: decodePercent(userinfo.slice(0, colon)),
    password: decodePercent(userinfo.slice(colon + 1)),
  };
}

/**
 * Decodes valid percent escapes and takes everything else literally [PT-3.2.2-06]: tor passes user and
 * password raw, so that a password such as `50%off` arrives with a '%' that escapes nothing.
 */
function decodePercent(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes; // not UTF-8
    }
  });
}

/** Refuses credentials that the proxy's protocol cannot carry. */
function checkCredentials({ type, username, password }: UpstreamProxy): void {
  if (username === undefined) {
    if (password !== undefined) throw fault('there is a password without a user name');
    return;
  }
  if (username === '') throw fault('the user name is empty');
  if (type === 'socks4a') {
    if (password !== undefined) throw fault('socks4a cannot carry a password');
    // [RFC: SOCKS4] the USERID field ends at its first NUL.
    if (username.includes('\0')) throw fault('socks4a cannot carry a user name with NUL');
  }
  if (type === 'socks5' && (byteLength(username) > 255 || byteLength(password ?? '') > 255)) {
    throw fault('socks5 carries at most 255 bytes of user name and of password (RFC 1929)');
  }
  if (type === 'http' && username.includes(':')) {
    throw fault('http Basic authentication cannot carry a user name with a colon (RFC 7617)');
  }
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_UPSTREAM_PROXY', message);
}
