/** `SocksPort` and `HTTPTunnelPort`: how applications ask for connections. */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { listenTcp, type Listener } from '../../net/listener.ts';
import type { Endpoint } from '../../pt/address.ts';
import { closeGently, readSocksRequest } from '../../proxy/socks-request.ts';
import { SocksReply } from '../../socks/messages.ts';
import type { Application } from './streams.ts';
import { parseAuthority } from './authority.ts';

/** Takes an application's request; never rejects. */
export type Serve = (application: Application) => Promise<void>;

/**
 * `SocksPort`: SOCKS5, SOCKS4 and SOCKS4a. Whoever reaches the port may use it; user names and passwords
 * are accepted and mean nothing.
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export function listenSocks(
  endpoint: Endpoint,
  serve: Serve,
  onRefused: (error: unknown) => void,
): Promise<Listener> {
  let pending = 0;
  return listenTcp(endpoint, (socket) => {
    if (pending >= limits.pendingSocksRequests) {
      socket.destroy();
      return;
    }
    pending += 1;
    readSocksRequest(socket, () => {})
      .finally(() => (pending -= 1))
      .then(({ request, reply }) => {
        void serve({
          socket,
          target: request.target,
          succeed: () => void socket.write(reply(SocksReply.succeeded)),
          fail: (error) => closeGently(socket, reply(socksReplyOf(error))),
        });
      }, onRefused);
  });
}

/**
 * `HTTPTunnelPort`: HTTP/1.1 CONNECT (RFC 9110, section 9.3.6).
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export async function listenHttpTunnel(endpoint: Endpoint, serve: Serve): Promise<Listener> {
  const server = createServer({
    maxHeaderSize: limits.httpConnectHeadBytes,
    requestTimeout: limits.socksRequestTimeoutMs,
    headersTimeout: limits.socksRequestTimeoutMs,
  });
  server.on('request', (_request, response) => {
    response.writeHead(405, { connection: 'close', 'content-type': 'text/plain' });
    response.end('This is an HTTP tunnel: it takes CONNECT and nothing else.\n');
  });
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {});
    const target = parseAuthority(request.url);
    if (target === undefined) {
      closeGently(socket as Socket, Buffer.from(`HTTP/1.1 400 Bad Request${END}`));
      return;
    }
    if (head.length > 0) socket.unshift(head);
    void serve({
      socket,
      target,
      succeed: () => void socket.write('HTTP/1.1 200 Connection established\r\n\r\n'),
      fail: (error) => closeGently(socket as Socket, Buffer.from(`${statusLine(error)}${END}`)),
    });
  });
  return listenTcp(endpoint, (socket) => void server.emit('connection', socket));
}

const END = '\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

function socksReplyOf(error: unknown): number {
  return error instanceof PosternError ? error.socksReply : SocksReply.generalFailure;
}

/** The HTTP status that says the same as the SOCKS reply would. */
function statusLine(error: unknown): string {
  switch (socksReplyOf(error)) {
    case SocksReply.notAllowed:
      return 'HTTP/1.1 403 Forbidden';
    case SocksReply.ttlExpired:
      return 'HTTP/1.1 504 Gateway Timeout';
    case SocksReply.generalFailure:
      return 'HTTP/1.1 503 Service Unavailable';
    default:
      return 'HTTP/1.1 502 Bad Gateway';
  }
}
