/**
 * The load: what stands at both ends of a pair. It runs in the benchmark's own process, so that none
 * of its CPU time is counted.
 *
 * A connection begins with one request: an operation octet and a byte count.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Endpoint } from '../src/pt/address.ts';

const Operation = { upload: 0x55, download: 0x44, echo: 0x45 } as const;
type Operation = (typeof Operation)[keyof typeof Operation];

const REQUEST_BYTES = 9;
const CHUNK = Buffer.alloc(65_536, 'payload ');

/** Starts the server behind the pairs. */
export async function startTarget(): Promise<{ endpoint: Endpoint; stop: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    socket.setNoDelay(true);
    void serve(socket).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1', 4096);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the target has no port');
  return {
    endpoint: { host: '127.0.0.1', port: address.port },
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function serve(socket: Socket): Promise<void> {
  const request = await read(socket, REQUEST_BYTES);
  const count = Number(request.readBigUInt64BE(1));
  switch (request[0]) {
    case Operation.upload:
      await discard(socket, count);
      socket.write(Buffer.of(1));
      break;
    case Operation.download:
      await fill(socket, count);
      break;
    default:
      socket.on('data', (chunk: Buffer) => void socket.write(chunk)).resume();
  }
}

/** Sends bytes and waits until all have arrived. */
export async function upload(stream: Duplex, byteCount: number): Promise<void> {
  await ask(stream, Operation.upload, byteCount);
  const arrived = read(stream, 1);
  await fill(stream, byteCount);
  await arrived;
  stream.destroy();
}

/** Asks for bytes and waits until all have arrived. */
export async function download(stream: Duplex, byteCount: number): Promise<void> {
  await ask(stream, Operation.download, byteCount);
  await discard(stream, byteCount);
  stream.destroy();
}

/** Asks for bytes; reading them is the caller's. */
export function askForDownload(stream: Duplex, byteCount: number): Promise<void> {
  return ask(stream, Operation.download, byteCount);
}

/** Makes a stream an echo, so that `roundTrip` can use it. */
export function askForEcho(stream: Duplex): Promise<void> {
  return ask(stream, Operation.echo, 0);
}

/** Sends bytes, waits for their echo, and says how long it took, in milliseconds. */
export async function roundTrip(stream: Duplex, byteCount: number): Promise<number> {
  const start = performance.now();
  stream.write(CHUNK.subarray(0, byteCount));
  await discard(stream, byteCount);
  return performance.now() - start;
}

async function ask(stream: Duplex, operation: Operation, byteCount: number): Promise<void> {
  const request = Buffer.alloc(REQUEST_BYTES, operation);
  request.writeBigUInt64BE(BigInt(byteCount), 1);
  if (!stream.write(request)) await once(stream, 'drain');
}

async function fill(stream: Duplex, byteCount: number): Promise<void> {
  for (let left = byteCount; left > 0; left -= CHUNK.length) {
    if (!stream.write(CHUNK.subarray(0, left))) await once(stream, 'drain');
  }
}

/** Reads `byteCount` bytes without keeping them. */
function discard(stream: Duplex, byteCount: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = byteCount;
    const onClose = (): void => reject(new Error(`closed with ${left} bytes to come`));
    const onData = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left > 0) return;
      stream.off('data', onData).off('close', onClose);
      resolve();
    };
    stream.on('data', onData).on('close', onClose).resume();
  });
}

/** Reads exactly `byteCount` bytes; more must not come before they are asked for. */
async function read(stream: Duplex, byteCount: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    let length = 0;
    const onClose = (): void => reject(new Error('closed during a read'));
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      if (length < byteCount) return;
      stream.pause().off('data', onData).off('close', onClose);
      const bytes = Buffer.concat(chunks);
      if (bytes.length > byteCount) stream.unshift(bytes.subarray(byteCount));
      resolve(bytes.subarray(0, byteCount));
    };
    stream.on('data', onData).on('close', onClose).resume();
  });
}
