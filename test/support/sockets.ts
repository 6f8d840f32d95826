/** Small TCP servers and clients for tests. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PosternError } from '../../src/errors.ts';
import { runExchange } from '../../src/net/exchange.ts';
import { createDirectDialer } from '../../src/net/direct-dialer.ts';
import { listenTcp, type Listener } from '../../src/net/listener.ts';
import { formatEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { splitForUserPass } from '../../src/pt/socks-arguments.ts';
import { createSocksClient } from '../../src/socks/client.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** Connects directly. */
export const dial: ReturnType<typeof createDirectDialer> = createDirectDialer();

/** Listens on a loopback port until the test has ended. */
export async function listen(
  t: Cleanup,
  onConnection: (socket: Socket) => void,
  host = '127.0.0.1',
): Promise<Listener & { readonly text: string }> {
  const listener = await listenTcp({ host, port: 0 }, onConnection);
  t.after(() => listener.abort());
  return { ...listener, text: formatEndpoint(listener.endpoint) };
}

/** Two connected sockets, the dialled one first, until the test has ended. */
export async function socketPair(t: Cleanup): Promise<[near: Socket, far: Socket]> {
  let onAccept!: (socket: Socket) => void;
  const far = new Promise<Socket>((resolve) => (onAccept = resolve));
  const { endpoint } = await listen(t, (socket) => onAccept(socket));
  const near = (await dial(endpoint)) as Socket;
  t.after(() => void near.destroy());
  return [near, await far];
}

/** Sends back what it gets; ends when the peer ends. */
export function echo(socket: Duplex): void {
  socket.pipe(socket);
}

/** Connects to a target through a SOCKS5 proxy, with encoded PT arguments or none. */
export async function socksConnect(proxy: Endpoint, target: Endpoint, args = ''): Promise<Duplex> {
  const stream = await dial(proxy);
  const credentials = args === '' ? undefined : splitForUserPass(Buffer.from(args));
  const options = { version: 'socks5', target, ...(credentials && { credentials }) } as const;
  await runExchange(stream, createSocksClient(options));
  return stream;
}

/** All bytes until the end of the stream, whose other direction stays open. */
export function readAll(stream: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks))).once('error', reject);
  });
}

/** Exactly `count` bytes; what came behind them is put back. */
export async function readBytes(stream: Duplex, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < count) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) {
      if (stream.readableEnded || stream.destroyed) throw new Error(`ended after ${length} bytes`);
      const heard = new AbortController();
      const events = ['readable', 'end', 'close'];
      await Promise.race(events.map((event) => once(stream, event, heard))).finally(() =>
        heard.abort(),
      );
      continue;
    }
    chunks.push(chunk);
    length += chunk.length;
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length > count) stream.unshift(bytes.subarray(count));
  return bytes.subarray(0, count);
}

/**
 * A port on which nothing listens. It lies below those that systems give to outgoing connections and to
 * whoever listens on port 0, so that no test beside this one takes it.
 */
export async function closedPort(): Promise<Endpoint> {
  for (;;) {
    const endpoint = { host: '127.0.0.1', port: 10_000 + randomInt(20_000) };
    try {
      await (await listenTcp(endpoint, () => {})).close();
      return endpoint;
    } catch (error) {
      if (!(error instanceof PosternError) || error.code !== 'ERR_LISTEN_IN_USE') throw error;
    }
  }
}
