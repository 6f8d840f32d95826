/** The demo's proof: bytes through the tunnel in each direction, compared by SHA-256. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { startSha256 } from '../../crypto/hash.ts';
import { demoBytes } from './bytes.ts';
import { DIGEST_TRAILER } from './service.ts';

/** How one direction went. */
export interface TransferResult {
  /** Whether what arrived is what was sent. */
  readonly intact: boolean;
  readonly bytes: number;
  readonly seconds: number;
}

/** What a transfer is given. */
export interface TransferOptions {
  readonly bytes: number;
  readonly signal: AbortSignal;
  /** Called with the number of bytes so far. */
  readonly onProgress: (bytes: number) => void;
}

/** Sends bytes to the service over `stream`; the service answers the digest of what it got. */
export async function upload(stream: Duplex, options: TransferOptions): Promise<TransferResult> {
  const start = performance.now();
  const sent = openRequest(stream, 'PUT', '/digest', options.signal);
  const digest = startSha256();
  let bytes = 0;
  function* body(): Generator<Buffer> {
    for (const chunk of demoBytes(options.bytes)) {
      digest.update(chunk);
      bytes += chunk.length;
      options.onProgress(bytes);
      yield chunk;
    }
  }
  const [response] = await Promise.all([responseTo(sent), pipeline(body, sent)]);
  let answer = '';
  for await (const chunk of response.setEncoding('latin1')) answer += chunk as string;
  return { intact: answer === digest.hex(), bytes, seconds: secondsSince(start) };
}

/** Takes bytes from the service over `stream`; the digest of what it sent comes behind them. */
export async function download(stream: Duplex, options: TransferOptions): Promise<TransferResult> {
  const start = performance.now();
  const sent = openRequest(stream, 'GET', `/bytes/${options.bytes}`, options.signal);
  sent.end();
  const response = await responseTo(sent);
  const digest = startSha256();
  let bytes = 0;
  for await (const chunk of response) {
    digest.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    options.onProgress(bytes);
  }
  const intact = bytes === options.bytes && response.trailers[DIGEST_TRAILER] === digest.hex();
  return { intact, bytes, seconds: secondsSince(start) };
}

function openRequest(
  stream: Duplex,
  method: string,
  path: string,
  signal: AbortSignal,
): ClientRequest {
  return request({
    method,
    path,
    signal,
    headers: { host: 'demo', connection: 'close' },
    createConnection: () => stream,
  });
}

async function responseTo(sent: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

function secondsSince(startMs: number): number {
  return (performance.now() - startMs) / 1000;
}
