/** Where Prometheus finds the figures. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { limits } from '../limits.ts';
import { type Listener, listenTcp } from '../net/listener.ts';
import type { Endpoint } from '../pt/address.ts';
import { unawaited } from '../unawaited.ts';
import { createRegistries, type Figures } from './registry.ts';

/** How the figures are served. */
export interface MetricsOptions {
  /** Where to listen: an IP address; port 0 lets the system choose. */
  readonly endpoint: Endpoint;
  /** Whether this address may ask: others are closed before a byte of theirs is read. */
  readonly accepts: (host: string) => boolean;
  /** Those of a daemon, where there is one. */
  readonly figures?: () => Figures;
}

/**
 * Answers `GET /metrics` with the figures of this process: Prometheus' text format 0.0.4, or OpenMetrics
 * where `Accept` asks for it.
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export async function serveMetrics(options: MetricsOptions): Promise<Listener> {
  const registries = createRegistries(options.figures);
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: limits.metricsRequestMs,
    requestTimeout: limits.metricsRequestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  server.on('request', (request, response) =>
    unawaited(
      () => answer(request, response, registries),
      () => response.destroy(),
    ),
  );
  // Nobody whom the policy lets in asks for this on purpose.
  server.on('clientError', (_error, socket) => socket.destroy());
  const open = new Set<Socket>();
  return listenTcp(options.endpoint, (socket) => {
    if (!options.accepts(socket.remoteAddress ?? '') || open.size >= limits.metricsConnections) {
      socket.destroy();
      return;
    }
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    // The server's own clock for it begins when it listens, and it does not.
    socket.setTimeout(limits.metricsRequestMs + KEEP_ALIVE_MS, () => socket.destroy());
    server.emit('connection', socket);
  });
}

const MAX_HEADER_BYTES = 16_384;
/** Longer than from one scrape to the next, as they are usually done. */
const KEEP_ALIVE_MS = 65_000;

async function answer(
  { method, url = '', headers }: IncomingMessage,
  response: ServerResponse,
  { prometheus, openMetrics }: ReturnType<typeof createRegistries>,
): Promise<void> {
  if (url.replace(/\?.*$/, '') !== '/metrics') {
    response.writeHead(404, PLAIN).end('The figures are at /metrics.\n');
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { ...PLAIN, allow: 'GET, HEAD' }).end('GET /metrics\n');
    return;
  }
  const registry = asksForOpenMetrics(headers.accept) ? openMetrics : prometheus;
  const text = await registry.metrics();
  response.writeHead(200, { 'content-type': registry.contentType, 'cache-control': 'no-store' });
  response.end(method === 'HEAD' ? undefined : text);
}

const PLAIN = { 'content-type': 'text/plain; charset=utf-8' };

function asksForOpenMetrics(accept = ''): boolean {
  return accept
    .split(',')
    .some((range) => /^\s*application\/openmetrics-text\s*(?:;|$)/i.test(range));
}
