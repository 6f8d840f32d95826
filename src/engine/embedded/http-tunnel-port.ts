/** `HTTPTunnelPort`: how applications that speak HTTP ask for connections. */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { limits } from '../../limits.ts';
import { type Application, createApplication, socksReplyOf } from '../../net/applications.ts';
import { closeGently } from '../../net/close-gently.ts';
import { listenTcp, type Listener } from '../../net/listener.ts';
import { WaitingConnections } from '../../net/waiting-connections.ts';
import type { Endpoint } from '../../pt/address.ts';
import { SocksReply } from '../../socks/messages.ts';
import type { Timers } from '../../time.ts';
import { unawaited } from '../../unawaited.ts';
import { parseAuthority } from './authority.ts';

/** How applications are served. */
export interface HttpTunnelOptions {
  readonly serve: (application: Application) => Promise<void>;
  /** Hears of a fault that cost an application its connection. */
  readonly onFailure: (error: unknown) => void;
  readonly timers: Timers;
  /** How many may be connected that have not asked; beyond it the oldest is closed. */
  readonly maxPending?: number;
}

/**
 * `HTTPTunnelPort`: HTTP/1.1 CONNECT (RFC 9110, section 9.3.6).
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export async function listenHttpTunnel(
  endpoint: Endpoint,
  { serve, onFailure, timers, maxPending = limits.pendingSocksRequests }: HttpTunnelOptions,
): Promise<Listener> {
  // Its own timeouts begin when it listens, and it does not.
  const server = createServer({
    maxHeaderSize: limits.httpConnectHeadBytes,
    // A lone LF may end a line (RFC 9112, section 2.2). What makes a lax parser dangerous, a second one
    // behind it, is not there: a tunnel carries bytes.
    insecureHTTPParser: true,
  });
  /** Those that have not asked for a tunnel, and what calls off their end. */
  const pending = new Map<Duplex, () => void>();
  const waiting = new WaitingConnections();
  const settle = (socket: Duplex): void => {
    pending.get(socket)?.();
    pending.delete(socket);
    waiting.delete(socket);
  };
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
    settle(socket);
    unawaited(
      () => onConnect(request, socket, head),
      (error) => {
        socket.destroy();
        onFailure(error);
      },
    );
  });
  const accept = (socket: Socket): void => {
    if (waiting.size >= maxPending) waiting.closeOldest();
    waiting.add(socket);
    pending.set(
      socket,
      timers.after(limits.socksRequestTimeoutMs, () => socket.destroy()),
    );
    socket.once('close', () => settle(socket));
    server.emit('connection', socket);
  };
  return listenTcp(endpoint, accept, onFailure);
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
