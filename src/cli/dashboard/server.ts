/**
 * The dashboard's server, on loopback. Other web sites in the same browser can reach loopback, too. Against them:
 * without the token in the URL nothing is shown; Host shows a name that was made to point here (DNS rebinding),
 * and Origin a page of another site. It takes GET only, and changes nothing.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { equalInConstantTime } from '../../crypto/hash.ts';
import { type Listener, listenTcp } from '../../net/listener.ts';
import { type Endpoint, formatEndpoint } from '../../pt/address.ts';
import { unawaited } from '../../unawaited.ts';
import type { Asset } from './assets.ts';

/** What is served. */
export interface DashboardOptions {
  readonly endpoint: Endpoint;
  /** The first part of every path. */
  readonly token: string;
  readonly assets: ReadonlyMap<string, Asset>;
  readonly onEvents: (response: ServerResponse) => void;
  /** What the daemon is configured with, as JSON. */
  readonly configuration: () => Promise<unknown>;
}

const headers: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** @throws PosternError `ERR_LISTEN_*` */
export async function serveDashboard(options: DashboardOptions): Promise<Listener> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 });
  const listener = await listenTcp(options.endpoint, (socket) => {
    server.emit('connection', socket);
  });
  const hosts = hostsOf(listener.endpoint);
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('request', (request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    unawaited(
      () => answer(request, response, hosts, options),
      () => response.destroy(),
    );
  });
  return listener;
}

function hostsOf(endpoint: Endpoint): readonly string[] {
  return [formatEndpoint(endpoint), `localhost:${endpoint.port}`];
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  hosts: readonly string[],
  options: DashboardOptions,
): Promise<void> {
  const { host = '', origin } = request.headers;
  const isOurs = hosts.includes(host) && (origin === undefined || origin === `http://${host}`);
  const [, token = '', name, ...rest] = (request.url ?? '').replace(/\?.*$/, '').split('/');
  const isKnown = equalInConstantTime(Buffer.from(token), Buffer.from(options.token));
  if (!isOurs || !isKnown || rest.length > 0) return refuse(response, 403, 'Not for you.');
  if (request.method !== 'GET') return refuse(response, 405, 'GET alone.');
  if (name === undefined) return redirect(response, `/${options.token}/`);
  if (name === 'events') return options.onEvents(response);
  if (name === 'configuration') {
    const body = JSON.stringify(await options.configuration());
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    return;
  }
  const asset = options.assets.get(name);
  if (asset === undefined) return refuse(response, 404, 'There is no such thing here.');
  response.writeHead(200, { 'content-type': asset.type }).end(asset.body);
}

/** Links of the page are relative to its folder. */
function redirect(response: ServerResponse, location: string): void {
  response.writeHead(308, { location }).end();
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
}
