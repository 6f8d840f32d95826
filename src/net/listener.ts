import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import { admitAccepted, releaseAccepted } from './descriptors.ts';
import { keepAlive } from './keep-alive.ts';

/** A TCP listener that runs. */
export interface Listener {
  /** Where it really listens: port 0 has become a number. */
  readonly endpoint: Endpoint;
  /** Stops accepting; connections that stand are not touched. Idempotent. */
  close(): Promise<void>;
  /** Stops accepting, and destroys every connection that it accepted and that still stands. */
  abort(): void;
}

/**
 * Listens on an IP address and port (0: the system chooses).
 *
 * `onConnection` is called for each connection and never awaited. Sockets come with half-close
 * allowed, an error listener, no Nagle delay and Go's keep-alive, as obfs4proxy's have.
 *
 * @throws PosternError `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export async function listenTcp(
  endpoint: Endpoint,
  onConnection: (socket: Socket) => void,
): Promise<Listener> {
  const accepted = new Set<Socket>();
  // One function for all sockets, as `ignore` is: a closure each would be half a kilobyte.
  function forget(this: Socket): void {
    releaseAccepted();
    accepted.delete(this);
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    // A reset before anyone listens must not end the process; the stream's users see 'close'.
    socket.on('error', ignore);
    if (!admitAccepted()) {
      socket.destroy();
      return;
    }
    keepAlive(socket);
    accepted.add(socket);
    socket.on('close', forget);
    onConnection(socket);
  });
  server.listen({ ...endpoint, backlog: LISTEN_BACKLOG, ipv6Only: endpoint.host !== '::' });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException);
  }
  // What goes wrong with one connection leaves the listener as it is. Being out of descriptors does not
  // even show here (`descriptors.ts`).
  server.on('error', () => {});
  const { address, port } = server.address() as AddressInfo;
  return {
    endpoint: { host: address, port },
    // Not awaited: `server.close` calls back only when the last connection has ended.
    close: async () => void server.close(),
    abort() {
      server.close();
      for (const socket of accepted) socket.destroy();
    },
  };
}

/** As deep as the kernel allows by default; a burst of clients queues instead of being refused. */
const LISTEN_BACKLOG = 4096;

function listenError(error: NodeJS.ErrnoException): PosternError {
  return error.code === 'EADDRINUSE'
    ? new PosternError('ERR_LISTEN_IN_USE', 'the address and port are in use', { cause: error })
    : new PosternError('ERR_LISTEN_FAILED', `cannot listen (${error.code ?? 'unknown error'})`, {
        cause: error,
      });
}

function ignore(): void {}
