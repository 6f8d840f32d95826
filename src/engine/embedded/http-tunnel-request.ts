/** How applications ask for a tunnel: the proxy's side of HTTP CONNECT (RFC 9110, section 9.3.6). */
import type { Exchange, ExchangeAction } from '../../bytes/exchange.ts';
import { ByteQueue } from '../../bytes/queue.ts';
import { limits } from '../../limits.ts';
import type { Endpoint } from '../../pt/address.ts';
import { parseAuthority } from './authority.ts';

/**
 * Reads a request up to the empty line that ends its head. No library for HTTP stands here, since all of
 * HTTP that a tunnel needs is one line, and lines that end in LF alone pass (RFC 9112, section 2.2): what
 * makes that dangerous, a second parser behind it, is not there.
 *
 * @returns the exchange; it is done with the target, or with undefined when it has refused
 */
export function createTunnelRequest(): Exchange<Endpoint | undefined> {
  const queue = new ByteQueue();
  const refuse = (answer: string): readonly ExchangeAction<undefined>[] => [
    { type: 'send', bytes: Buffer.from(answer) },
    { type: 'done', result: undefined, leftover: new Uint8Array(0) },
  ];
  return {
    peer: 'the application',
    codes: { closed: 'ERR_SOCKS_CLOSED', timedOut: 'ERR_SOCKS_TIMED_OUT' },
    start: () => [],
    receive(chunk) {
      queue.push(chunk);
      const text = queue.peek(0, limits.httpConnectHeadBytes).toString('latin1');
      // Empty lines in front are a habit of old clients.
      const start = /[^\r\n]|$/.exec(text)!.index;
      if (/^[^A-Z]/.test(text.slice(start))) return refuse(BAD_REQUEST);
      const end = /\n\r?\n/g;
      end.lastIndex = start;
      if (end.exec(text) === null) {
        return queue.length < limits.httpConnectHeadBytes ? [] : refuse(HEAD_TOO_LONG);
      }
      const [, method, target] = REQUEST_LINE.exec(text.slice(start)) ?? [];
      if (method !== undefined && method !== 'CONNECT') return refuse(NOT_ALLOWED);
      const result = parseAuthority(target);
      if (result === undefined) return refuse(BAD_REQUEST);
      queue.skip(end.lastIndex);
      return [{ type: 'done', result, leftover: queue.take() }];
    },
  };
}

const REQUEST_LINE = /^([A-Z]+) +(\S+) +HTTP\/1\.[0-9] *\r?\n/;

/** The end of the head of an answer that has nothing more to say. */
export const NO_BODY = '\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
const BAD_REQUEST = `HTTP/1.1 400 Bad Request${NO_BODY}`;
const HEAD_TOO_LONG = `HTTP/1.1 431 Request Header Fields Too Large${NO_BODY}`;
const NOT_ALLOWED =
  'HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n' +
  'This is an HTTP tunnel: it takes CONNECT and nothing else.\n';
