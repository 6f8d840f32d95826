/** `HTTPTunnelPort`: how applications that speak HTTP ask for connections. */
import { createServer, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { limits } from '../../limits.ts';
import { type Application, createApplication, socksReplyOf } from '../../net/applications.ts';
import { closeGently } from '../../net/close-gently.ts';
import { listenTcp, type Listener } from '../../net/listener.ts';
import type { Endpoint } from '../../pt/address.ts';
import { SocksReply } from '../../socks/messages.ts';
import { unawaited } from '../../unawaited.ts';
import { parseAuthority } from './authority.ts';

/**
 * `HTTPTunnelPort`: HTTP/1.1 CONNECT (RFC 9110, section 9.3.6).
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export async function listenHttpTunnel(
  endpoint: Endpoint,
  serve: (application: Application) => Promise<void>,
  onFailure: (error: unknown) => void,
): Promise<Listener> {
  const server = createServer({
    maxHeaderSize: limits.httpConnectHeadBytes,
    requestTimeout: limits.socksRequestTimeoutMs,
    headersTimeout: limits.socksRequestTimeoutMs,
  });
  server.on('request', (_request, response) => {
    response.writeHead(405, { connection: 'close', 'content-type': 'text/plain' });
    response.end('This is an HTTP tunnel: it takes CONNECT and nothing else.\n');
  });
  const onConnect = (request: IncomingMessage, socket: Duplex, head: Buffer): unknown => {
    socket.on('error', () => {});
    const target = parseAuthority(request.url);
    if (target === undefined) {
      closeGently(socket, Buffer.from(`HTTP/1.1 400 Bad Request${END}`));
      return;
    }
    if (head.length > 0) socket.unshift(head);
    return serve(
      createApplication(socket, target, {
        succeeded: () => Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'),
        failed: (error) => Buffer.from(`${statusLine(error)}${END}`),
      }),
    );
  };
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    unawaited(
      () => onConnect(request, socket, head),
      (error) => {
        socket.destroy();
        onFailure(error);
      },
    );
  });
  return listenTcp(endpoint, (socket) => server.emit('connection', socket), onFailure);
}

const END = '\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

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
