/** `HTTPTunnelPort`: how applications that speak HTTP ask for connections. */
import type { Socket } from 'node:net';
import { limits } from '../../limits.ts';
import { type Application, createApplication, socksReplyOf } from '../../net/applications.ts';
import { closeGently } from '../../net/close-gently.ts';
import { runExchange } from '../../net/exchange.ts';
import { listenTcp, type Listener } from '../../net/listener.ts';
import { WaitingConnections } from '../../net/waiting-connections.ts';
import type { Endpoint } from '../../pt/address.ts';
import { SocksReply } from '../../socks/messages.ts';
import { createTunnelRequest, NO_BODY } from './http-tunnel-request.ts';

/** How applications are served. */
export interface HttpTunnelOptions {
  readonly serve: (application: Application) => Promise<void>;
  /** Hears of each application that got no connection and no answer, and why. */
  readonly onFailure: (error: unknown) => void;
  /** How long an application may take to ask. */
  readonly timeoutMs?: number;
  /** How many may be connected that have not asked; beyond it the oldest is closed. */
  readonly maxPending?: number;
}

/**
 * `HTTPTunnelPort`: HTTP/1.1 CONNECT. Past the cap on requests that are being read, the oldest of those
 * connections is closed.
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export function listenHttpTunnel(
  endpoint: Endpoint,
  {
    serve,
    onFailure,
    timeoutMs = limits.socksRequestTimeoutMs,
    maxPending = limits.pendingSocksRequests,
  }: HttpTunnelOptions,
): Promise<Listener> {
  const waiting = new WaitingConnections();
  return listenTcp(
    endpoint,
    (socket) => {
      if (waiting.size >= maxPending) waiting.closeOldest();
      waiting.add(socket);
      return runExchange(socket, createTunnelRequest(), { timeoutMs })
        .finally(() => waiting.delete(socket))
        .then((target) => serveTarget(socket, target, serve));
    },
    onFailure,
  );
}

function serveTarget(
  socket: Socket,
  target: Endpoint | undefined,
  serve: HttpTunnelOptions['serve'],
): unknown {
  if (target === undefined) return closeGently(socket);
  return serve(
    createApplication(socket, target, {
      succeeded: () => Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'),
      failed: (error) => Buffer.from(`${statusLine(error)}${NO_BODY}`),
    }),
  );
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
