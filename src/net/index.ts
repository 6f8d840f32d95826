/** `postern/net`: dialers, listeners, and the drivers that run sessions and exchanges over connections. */
export type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
export type { Dialer, DialOptions } from './dialer.ts';
export { createDirectDialer, type DirectDialerOptions } from './direct-dialer.ts';
export { type ExchangeOptions, runExchange } from './exchange.ts';
export { type AnyListener, type Listener, listenTcp } from './listener.ts';
export { relay } from './relay.ts';
export { openStateDirectory, type StateDirectory } from '../state/state-directory.ts';
export {
  type Published,
  type RunningTransport,
  startTransportServer,
  type TransportServerOptions,
} from './transport-server.ts';
export { throughTransport, type ThroughTransportOptions } from './through-transport.ts';
export { openTransportStream, type TransportStreamOptions } from './transport-stream.ts';
export { createUpstreamDialer } from './upstream-dialer.ts';
