import type { Socket } from 'node:net';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { SocksCredentials, SocksRequest } from '../socks/messages.ts';
import { createSocksServer, type SocksServer } from '../socks/server.ts';

/** A request that was read to its end, and the machine that knows how to answer it. */
export interface PendingSocksRequest {
  readonly request: SocksRequest;
  readonly reply: SocksServer['reply'];
}

/**
 * Reads one SOCKS request from a fresh connection. Bytes behind it stay in the socket, which is
 * paused, for whoever reads on.
 *
 * A client that is refused has been told so, and its socket is on the way out, when this rejects.
 *
 * @param accept judges the credentials, and throws to refuse them
 * @throws PosternError what `createSocksServer` and `accept` fail with, `ERR_SOCKS_TIMED_OUT`,
 *   `ERR_SOCKS_CLOSED`
 */
export function readSocksRequest(
  socket: Socket,
  accept: (credentials: SocksCredentials) => void,
): Promise<PendingSocksRequest> {
  return new Promise((resolve, reject) => {
    const server = createSocksServer({ accept });
    const settle = (settlement: () => void): void => {
      clearTimeout(deadline);
      socket.off('data', onData).off('end', onEnd).off('close', onEnd).pause();
      settlement();
    };
    const fail = (error: unknown): void => {
      settle(() => reject(error));
      socket.destroy();
    };
    const onData = (chunk: Buffer): void => {
      try {
        run(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const run = (chunk: Buffer): void => {
      for (const action of server.receive(chunk)) {
        if (action.type === 'send') socket.write(action.bytes);
        else if (action.type === 'failed') {
          settle(() => reject(action.error));
          closeGently(socket);
        } else {
          const { request, leftover } = action;
          settle(() => resolve({ request, reply: (...args) => server.reply(...args) }));
          if (leftover.length > 0) socket.unshift(leftover);
        }
      }
    };
    const onEnd = (): void =>
      fail(new PosternError('ERR_SOCKS_CLOSED', 'the SOCKS client left before its request ended'));
    const deadline = setTimeout(() => {
      const timeoutMs = limits.socksRequestTimeoutMs;
      fail(new PosternError('ERR_SOCKS_TIMED_OUT', `no SOCKS request within ${timeoutMs} ms`));
    }, limits.socksRequestTimeoutMs);
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  });
}

/**
 * Closes a socket so that the peer gets what was written: reads on, for a close with unread data
 * would be a reset that overtakes the last bytes, and gives the peer some time to close as well.
 */
export function closeGently(socket: Socket, lastBytes?: Uint8Array): void {
  if (socket.destroyed) return;
  const deadline = setTimeout(() => socket.destroy(), limits.closeLingerMs);
  socket.once('close', () => clearTimeout(deadline));
  if (lastBytes === undefined) socket.end();
  else socket.end(lastBytes);
  if (socket.readableEnded) socket.destroySoon();
  else socket.once('end', () => socket.destroySoon()).resume();
}
