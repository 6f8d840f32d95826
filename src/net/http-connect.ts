import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { PosternBug, PosternError, type ErrorCode } from '../errors.ts';
import { limits } from '../limits.ts';
import { formatEndpoint, ipToBytes, type Endpoint } from '../pt/address.ts';
import { isHostName } from '../socks/messages.ts';

/** What to ask an HTTP proxy for. */
export interface HttpConnectOptions {
  readonly target: Endpoint;
  /** For Basic authentication (RFC 7617); the user name holds no colon. */
  readonly credentials?: { readonly username: string; readonly password: string };
}

/**
 * The client's side of HTTP CONNECT (RFC 9110, section 9.3.6), free of sockets.
 *
 * It fails with `ERR_TUNNEL_*` where the proxy itself is at fault, with `ERR_HTTP_PROXY_REFUSED` or
 * the `ERR_DIAL_*` that its status comes closest to.
 *
 * @throws PosternError `ERR_TUNNEL_UNENCODABLE` for a target or a user name that HTTP cannot carry
 */
export function createHttpConnect(options: HttpConnectOptions): Exchange<void> {
  const request = encodeConnect(options);
  const queue = new ByteQueue();
  let done = false;
  const fail = (code: ErrorCode, what: string): readonly ExchangeAction<void>[] => {
    done = true;
    return [{ type: 'failed', error: new PosternError(code, what) }];
  };
  return {
    peer: 'the HTTP proxy',
    codes: { closed: 'ERR_TUNNEL_CLOSED', timedOut: 'ERR_TUNNEL_TIMED_OUT' },
    start: () => [{ type: 'send', bytes: request }],
    receive(chunk) {
      if (done) throw new PosternBug('HTTP CONNECT client fed after its end');
      queue.push(chunk);
      for (;;) {
        skipEmptyLines(queue);
        const stranger = strangerThanHttp(queue.peek(0, 5));
        if (stranger !== undefined) return fail('ERR_TUNNEL_MALFORMED', stranger);
        const length = headLength(queue.peek(0, limits.httpConnectHeadBytes));
        if (length === undefined) {
          if (queue.length < limits.httpConnectHeadBytes) return [];
          return fail('ERR_BYTES_OVERFLOW', 'the HTTP proxy’s response head is over the limit');
        }
        const status = parseStatusLine(queue.take(length).toString('latin1'));
        if (status === undefined) {
          return fail('ERR_TUNNEL_MALFORMED', 'the proxy’s answer is not HTTP/1');
        }
        // An interim response (RFC 9110, section 15.2) stands before the final one.
        if (status >= 100 && status < 200) continue;
        if (status < 200 || status > 299) return fail(...errorFromStatus(status));
        done = true;
        return [{ type: 'done', result: undefined, leftover: queue.take() }];
      }
    },
  };
}

/** `CONNECT host:port HTTP/1.1` with its headers. */
function encodeConnect({ target, credentials }: HttpConnectOptions): Buffer {
  if (ipToBytes(target.host) === undefined && !isHostName(target.host)) {
    throw new PosternError('ERR_TUNNEL_UNENCODABLE', 'the target is neither an IP nor a host name');
  }
  const authority = formatEndpoint(target);
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (credentials !== undefined) {
    if (credentials.username.includes(':')) {
      throw new PosternError(
        'ERR_TUNNEL_UNENCODABLE',
        'HTTP Basic authentication cannot carry a user name with a colon',
      );
    }
    const pair = Buffer.from(`${credentials.username}:${credentials.password}`);
    lines.push(`Proxy-Authorization: Basic ${pair.toString('base64')}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** Some proxies begin with an empty line, as clients of old did (RFC 9112, section 2.2). */
function skipEmptyLines(queue: ByteQueue): void {
  const bytes = queue.peek(0, limits.httpConnectHeadBytes);
  let length = 0;
  while (bytes[length] === 0x0d || bytes[length] === 0x0a) length += 1;
  queue.skip(length);
}

/** What answers instead of an HTTP proxy, by its first bytes; undefined as long as it may be one. */
function strangerThanHttp(bytes: Buffer): string | undefined {
  if (bytes.equals(HTTP.subarray(0, bytes.length))) return undefined;
  return bytes[0] === 5 || bytes[0] === 4 || bytes[0] === 0
    ? IS_SOCKS
    : 'the proxy’s answer is not HTTP/1';
}

const HTTP = Buffer.from('HTTP/');
/** For a user who took a SOCKS proxy for an HTTP proxy. */
export const IS_SOCKS = 'this is a SOCKS proxy: use socks5://… (in a torrc Socks5Proxy)';

/** The length of a response head with its empty line; undefined while that line is not there. */
function headLength(bytes: Buffer): number | undefined {
  // RFC 9112, section 2.2: a lone LF may end a line.
  const end = /\n\r?\n/.exec(bytes.toString('latin1'));
  return end === null ? undefined : end.index + end[0].length;
}

function parseStatusLine(head: string): number | undefined {
  const match = /^HTTP\/1\.[0-9] +([1-9][0-9]{2})(?: [^\n]*)?\r?\n/.exec(head);
  return match === null ? undefined : Number(match[1]);
}

function errorFromStatus(status: number): [ErrorCode, string] {
  switch (status) {
    case 403:
      return [
        'ERR_DIAL_NOT_ALLOWED',
        'the HTTP proxy forbids this target (status 403); most of them allow CONNECT to port 443 only',
      ];
    case 401:
    case 407:
      return [
        'ERR_TUNNEL_AUTH_REJECTED',
        `the HTTP proxy wants other credentials, or any at all (status ${status})`,
      ];
    // For a target that cannot be reached squid says 503, tinyproxy 500, privoxy 503, others 502.
    case 500:
    case 502:
    case 503:
      return [
        'ERR_DIAL_HOST_UNREACHABLE',
        `the HTTP proxy cannot reach the target (status ${status})`,
      ];
    // Tor and we answer this at a SOCKS port.
    case 501:
      return ['ERR_TUNNEL_MALFORMED', `${IS_SOCKS}, or a proxy without CONNECT (status 501)`];
    case 504:
      return ['ERR_DIAL_TIMED_OUT', 'the HTTP proxy’s own connection timed out (status 504)'];
    default:
      return ['ERR_HTTP_PROXY_REFUSED', `the HTTP proxy answered CONNECT with status ${status}`];
  }
}
