/** What stands behind the demo's bridge: a small HTTP server on loopback. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startSha256 } from '../../crypto/hash.ts';
import type { Endpoint } from '../../pt/address.ts';
import { demoBytes } from './bytes.ts';

/** The service, running. */
export interface DemoService extends AsyncDisposable {
  readonly endpoint: Endpoint;
}

/** A name of the trailer in which a download carries its own digest. */
export const DIGEST_TRAILER = 'x-sha256';

/**
 * Starts the service:
 *
 *     GET /           a greeting
 *     GET /bytes/N    N bytes that do not compress, their SHA-256 in a trailer
 *     PUT /digest     takes a body and answers its SHA-256
 */
export async function startDemoService(): Promise<DemoService> {
  const server: Server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  return {
    endpoint: { host: address, port },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const download = /^\/bytes\/([0-9]{1,12})$/.exec(request.url ?? '');
  if (request.method === 'PUT' && request.url === '/digest') {
    const digest = startSha256();
    for await (const chunk of request) digest.update(chunk as Buffer);
    response.end(digest.hex());
  } else if (request.method === 'GET' && download !== null) {
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      trailer: DIGEST_TRAILER,
    });
    const digest = startSha256();
    for (const chunk of demoBytes(Number(download[1]))) {
      digest.update(chunk);
      if (!response.write(chunk)) await once(response, 'drain');
    }
    response.addTrailers({ [DIGEST_TRAILER]: digest.hex() });
    response.end();
  } else if (request.method === 'GET' && request.url === '/') {
    response.end(
      'This answer came through the bridge: disguised on the wire, plain at both ends.\n',
    );
  } else {
    response.writeHead(404).end('There are GET /, GET /bytes/N and PUT /digest.\n');
  }
}
