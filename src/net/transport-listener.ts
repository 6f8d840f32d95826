import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { limits } from '../limits.ts';
import type { Endpoint } from '../pt/address.ts';
import type { TransportServer } from '../transports/contract.ts';
import { listenTcp, type Listener } from './listener.ts';
import { discardUntilClosed, openTransportStream } from './transport-stream.ts';

/** What a transport listener hands out. */
export interface TransportListenerHandlers {
  /** A peer proved itself: `stream` is the undisguised connection, `wire` what it came in on. */
  readonly onConnection: (stream: Duplex, wire: Socket) => void;
  /** A handshake that came to nothing; the peer is dealt with already. */
  readonly onFailedHandshake?: (error: unknown) => void;
}

/**
 * Listens and runs the transport's handshake on every connection.
 *
 * Past the cap on handshakes that run at the same time a connection is treated exactly as one that
 * failed its handshake: load must not show from outside.
 *
 * @throws PosternError `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export function listenTransport(
  endpoint: Endpoint,
  server: TransportServer,
  { onConnection, onFailedHandshake = () => {} }: TransportListenerHandlers,
): Promise<Listener> {
  let pending = 0;
  return listenTcp(endpoint, (wire) => {
    if (pending >= limits.pendingHandshakes) {
      discardUntilClosed(wire, server.rejectAfterMs);
      return;
    }
    pending += 1;
    openTransportStream(wire, server.createSession(), { rejectAfterMs: server.rejectAfterMs })
      .finally(() => {
        pending -= 1;
      })
      .then((stream) => onConnection(stream, wire), onFailedHandshake);
  });
}
