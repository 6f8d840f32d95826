import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { createDirectDialer } from '../../net/direct-dialer.ts';
import { checkSocketPath } from '../../net/socket-path.ts';
import type { Endpoint } from '../../pt/address.ts';

/** Where a control server listens. */
export type ControlAddress = Endpoint | { readonly socketPath: string };

/**
 * Connects to a control server over TCP or a Unix-domain socket.
 *
 * @throws PosternError `ERR_DIAL_*`, `ERR_SOCKET_PATH`, or `signal.reason`
 */
export function dialControl(
  address: ControlAddress,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  return 'host' in address
    ? dialTcp(address, signal && { signal })
    : connectSocket(address.socketPath, signal);
}

const dialTcp = createDirectDialer();

async function connectSocket(path: string, signal: AbortSignal | undefined): Promise<Duplex> {
  const endMs = performance.now() + limits.controlQueueMs;
  for (;;) {
    const socket = connect({ path: checkSocketPath(path), allowHalfOpen: true });
    try {
      await once(socket, 'connect', signal && { signal });
      return socket;
    } catch (error) {
      socket.destroy();
      signal?.throwIfAborted();
      const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      // Where a TCP connection would wait in the queue of the listener, this one is told that it is full.
      if (errno === 'EAGAIN' && performance.now() < endMs) {
        await setTimeout(RETRY_MS);
        continue;
      }
      const text = `nobody answers on the control socket (${errno})`;
      throw new PosternError('ERR_DIAL_REFUSED', text, { cause: error });
    }
  }
}

const RETRY_MS = 10;
