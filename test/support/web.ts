/** A web server on loopback, and a client that fetches from it over any stream. */
import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Endpoint } from '../../src/pt/address.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** A server that runs until the test has ended. */
export interface WebServer {
  readonly endpoint: Endpoint;
  /** The SHA-256 of what it serves at `/whole`, and, up to the middle, at `/half`. */
  readonly digest: string;
  /** Resolves when the next half has been handed out, and its client waits for more, which never comes. */
  nextHalf(): Promise<void>;
}

/** Serves random bytes. */
export async function startWebServer(t: Cleanup, byteCount: number): Promise<WebServer> {
  const body = randomBytes(byteCount);
  const halves = new EventEmitter();
  const server = createServer((message, response) => {
    response.writeHead(200, { 'content-length': byteCount });
    if (message.url === '/whole') response.end(body);
    else response.write(body.subarray(0, byteCount / 2), () => halves.emit('half'));
  });
  server.listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return {
    endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    digest: createHash('sha256').update(body).digest('hex'),
    nextHalf: async () => void (await once(halves, 'half')),
  };
}

/** Fetches over a stream that leads to a web server, and gives the SHA-256 of what came. */
export async function fetchDigest(stream: Duplex, path = '/whole'): Promise<string> {
  const asked = request({ path, host: 'localhost', createConnection: () => stream });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const hash = createHash('sha256');
  await pipeline(response, hash);
  return hash.digest('hex');
}
