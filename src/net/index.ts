/** `postern/net`: dialers, listeners, and the driver that runs a session over a connection. */
export { runClientHandshake } from './client-handshake.ts';
export type { Dialer, DialOptions } from './dialer.ts';
export { createDirectDialer, type DirectDialerOptions } from './direct-dialer.ts';
export { type Listener, listenTcp } from './listener.ts';
export { relay } from './relay.ts';
export { openStateDirectory, type StateDirectory } from '../state/state-directory.ts';
export { listenTransport, type TransportListenerHandlers } from './transport-listener.ts';
export {
  openTransportStream,
  throughTransport,
  type TransportStreamOptions,
} from './transport-stream.ts';
export { createUpstreamDialer } from './upstream-dialer.ts';
