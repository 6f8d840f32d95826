import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import { type OnFault, unawaited, warnOfFault } from '../unawaited.ts';
import { watchForReset } from './broken-sockets.ts';
import { admitAccepted, releaseAccepted } from './descriptors.ts';
import { keepAlive } from './keep-alive.ts';
import { rejectOnePending } from './pending-handshakes.ts';
import { closeOldestRejected } from './rejected.ts';
import { closeOldestWaiting } from './waiting-connections.ts';

/** A listener that runs, on TCP or on a Unix-domain socket. */
export interface AnyListener {
  /** Stops accepting; connections that stand are not touched. Idempotent. */
  close(): Promise<void>;
  /** Stops accepting, and destroys every connection that it accepted and that still stands. */
  abort(): void;
  /** Resolves when it does not accept any more and the last connection has ended. Never rejects. */
  readonly closed: Promise<void>;
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A TCP listener that runs. */
export interface Listener extends AnyListener {
  /** Where it really listens: port 0 has become a number. */
  readonly endpoint: Endpoint;
}

/**
 * Listens on an IP address and port (0: the system chooses).
 *
 * Sockets come with half-close allowed, an error listener, no Nagle delay and Go's keep-alive, as
 * obfs4proxy's have.
 *
 * @param onConnection is called for each connection. It may return a promise, which nobody waits for: what
 *   it throws, or the promise rejects with, costs this connection, and `onFault` hears of it
 * @param onFault without it a fault becomes a warning of the process
 * @throws PosternError `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export async function listenTcp(
  endpoint: Endpoint,
  onConnection: (socket: Socket) => unknown,
  onFault?: OnFault,
): Promise<Listener> {
  const { server, listener } = createListener(onConnection, onFault, keepAlive);
  server.listen({ ...endpoint, backlog: LISTEN_BACKLOG, ipv6Only: endpoint.host !== '::' });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException);
  }
  const { address, port } = server.address() as AddressInfo;
  return { endpoint: { host: address, port }, ...listener };
}

/**
 * A listener that does not listen yet, and its server, which is to be told where.
 *
 * @param tune is called for each socket that is accepted
 */
export function createListener(
  onConnection: (socket: Socket) => unknown,
  onFault: OnFault = warnOfFault,
  tune: (socket: Socket) => void = () => {},
): { readonly server: Server; readonly listener: AnyListener } {
  const accepted = new Set<Socket>();
  // One function for all sockets, as `ignore` is: a closure each would be half a kilobyte.
  function forget(this: Socket): void {
    releaseAccepted();
    accepted.delete(this);
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    // A reset before anyone listens must not end the process; the stream's users see 'close'.
    socket.on('error', ignore);
    if (!admitAccepted(closeOneStranger)) {
      socket.destroy();
      return;
    }
    tune(socket);
    watchForReset(socket);
    accepted.add(socket);
    socket.on('close', forget);
    serveSocket(socket, () => onConnection(socket), onFault);
  });
  // What goes wrong with one connection leaves the listener as it is. Being out of descriptors does not
  // even show here (`descriptors.ts`).
  server.on('error', () => {});
  // Not awaited: it calls back only when the last connection has ended.
  const close = async (): Promise<void> => {
    server.close();
  };
  const listener: AnyListener = {
    close,
    abort() {
      server.close();
      for (const socket of accepted) socket.destroy();
    },
    closed: new Promise((resolve) => server.once('close', resolve)),
    [Symbol.asyncDispose]: close,
  };
  return { server, listener };
}

/**
 * Starts work on a connection that nobody awaits. What it throws, or its promise rejects with, costs this
 * connection.
 */
export function serveSocket(
  socket: Socket,
  work: () => unknown,
  onFault: OnFault = warnOfFault,
): void {
  unawaited(work, (error) => {
    // Unless its last bytes are on their way.
    if (!socket.writableEnded) socket.destroy();
    onFault(error);
  });
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

/** A connection that has not proven itself makes room for the next one. */
function closeOneStranger(): boolean {
  return (
    closeOldestRejected() || (rejectOnePending() && closeOldestRejected()) || closeOldestWaiting()
  );
}

function ignore(): void {}
