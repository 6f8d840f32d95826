/**
 * Postern as a library: reach a bridge, be a bridge.
 *
 * Everything underneath has a subpath of its own; docs/as-a-library.md lists them.
 */
import type { Duplex } from 'node:stream';
import { resolve } from 'node:path';
import { systemClock } from './time.ts';
import { systemRng } from './crypto/rng.ts';
import { PosternError } from './errors.ts';
import { openClientState } from './state/client-state.ts';
import { createDirectDialer } from './net/direct-dialer.ts';
import type { Dialer } from './net/dialer.ts';
import { openStateDirectory } from './state/state-directory.ts';
import { listenTransport } from './net/transport-listener.ts';
import { throughTransport } from './net/transport-stream.ts';
import { createUpstreamDialer } from './net/upstream-dialer.ts';
import type { Endpoint } from './pt/address.ts';
import { type BridgeLine, formatBridgeLine, parseBridgeLine } from './pt/bridge-line.ts';
import type { KeyValues } from './pt/key-value.ts';
import { parseUpstreamProxy } from './pt/upstream-proxy.ts';
import { builtinTransports } from './transports/registry.ts';

export { type ErrorCode, PosternError } from './errors.ts';
export { version } from './version.ts';

/** How a bridge is reached. */
export interface BridgeDialerOptions {
  /** `socks5://`, `socks4a://` or `http://[user[:password]@]ip:port`: the only way out, if given. */
  readonly upstreamProxy?: string;
  /**
   * The directory that keeps what makes later connections better, such as scramblesuit's tickets; not
   * for two processes at the same time. Without it they are kept until this process ends.
   */
  readonly stateDir?: string;
}

/** What `connect` may be given on top of the bridge line. */
export interface ConnectOptions extends BridgeDialerOptions {
  /** Gives the connection attempt up; the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

/**
 * Connects through a bridge to where the bridge forwards.
 *
 * @example
 *     const stream = await connect('obfs4 192.0.2.3:443 cert=… iat-mode=0');
 *     stream.end('hello');
 * @param bridgeLine as the bridge printed it
 * @returns a plain stream; both directions end separately (half-close)
 * @throws PosternError `ERR_PT_BRIDGE_LINE`, `ERR_TRANSPORT_UNKNOWN`, `ERR_TRANSPORT_ARGUMENT`,
 *   `ERR_PT_UPSTREAM_PROXY` before anything is sent; then `ERR_DIAL_*`, `ERR_TUNNEL_*`,
 *   `ERR_HANDSHAKE_*`
 */
export async function connect(bridgeLine: string, options: ConnectOptions = {}): Promise<Duplex> {
  const bridge = parseBridgeLine(bridgeLine);
  const dial = bridgeDialer(bridge, options);
  return dial(bridge.endpoint, options.signal === undefined ? {} : { signal: options.signal });
}

/**
 * A dialer through the transport of a bridge line; its target is the bridge's own endpoint.
 *
 * @throws PosternError what `connect` throws before anything is sent
 */
export function bridgeDialer(
  bridge: BridgeLine,
  { upstreamProxy, stateDir }: BridgeDialerOptions = {},
): Dialer {
  if (bridge.transport === undefined) {
    throw new PosternError('ERR_PT_BRIDGE_LINE', 'the line names no transport');
  }
  const environment = { rng: systemRng, clock: systemClock, state: openClientState(stateDir) };
  const createSession = builtinTransports.get(bridge.transport).client(bridge.args, environment);
  const outward =
    upstreamProxy === undefined
      ? createDirectDialer()
      : createUpstreamDialer(parseUpstreamProxy(upstreamProxy), createDirectDialer());
  return throughTransport(outward, createSession);
}

/** How a bridge is to run. */
export interface ListenOptions {
  /** The transport's name: `obfs4`, `obfs3`. */
  readonly transport: string;
  /** An IP address of this machine; `0.0.0.0` or `::` for all of them. */
  readonly host: string;
  /** 0 lets the system choose; `address` tells. */
  readonly port: number;
  /** The directory that keeps the bridge's identity: without it, a restart makes its lines useless. */
  readonly stateDir: string;
  /** Options of the transport, as `[['iat-mode', '1']]`. */
  readonly options?: KeyValues;
  /** Hears what the operator should know, such as a repaired state file; else it is a Node warning. */
  readonly onNotice?: (notice: string) => void;
}

/** A bridge that runs. */
export interface Listening {
  /** What clients need. A wildcard address in it must be replaced by the public one. */
  readonly bridgeLine: string;
  /** Where it really listens. */
  readonly address: Endpoint;
  /**
   * Takes no new connections and resolves when the last one has ended and the state is saved.
   * Idempotent. Rejects with `ERR_TRANSPORT_STATE` when the state cannot be saved.
   */
  close(): Promise<void>;
  /** Takes no new connections and ends those that stand. */
  abort(): void;
  /** Resolves once `close` or `abort` is through. Never rejects. */
  readonly closed: Promise<void>;
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Runs a bridge: `onConnection` gets the undisguised stream of every client that proved itself.
 * Whoever does not is read and discarded, and learns nothing. A stream that breaks emits 'error', which
 * may be left unheard, and 'close'.
 *
 * @example
 *     const bridge = await listen(
 *       { transport: 'obfs4', host: '0.0.0.0', port: 443, stateDir: '/var/lib/bridge' },
 *       (stream) => stream.pipe(stream),
 *     );
 *     console.log(bridge.bridgeLine);
 * @throws PosternError `ERR_TRANSPORT_UNKNOWN`, `ERR_TRANSPORT_ARGUMENT`, `ERR_TRANSPORT_STATE`,
 *   `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export async function listen(
  options: ListenOptions,
  onConnection: (stream: Duplex) => void,
): Promise<Listening> {
  const state = openStateDirectory(resolve(options.stateDir));
  const server = await builtinTransports.get(options.transport).server(options.options ?? [], {
    rng: systemRng,
    clock: systemClock,
    state,
    notify: options.onNotice ?? ((notice) => process.emitWarning(notice, 'PosternNotice')),
  });
  const streams = new Set<Duplex>();
  let closing: Promise<void> | undefined;
  const listener = await listenTransport({ host: options.host, port: options.port }, server, {
    onConnection(stream) {
      // One client's broken connection is no reason to end the process.
      stream.on('error', () => {});
      if (closing !== undefined) {
        stream.destroy();
        return;
      }
      streams.add(stream);
      stream.once('close', () => streams.delete(stream));
      onConnection(stream);
    },
  }).catch(async (error: unknown) => {
    await Promise.allSettled([server.close(), state.close()]);
    throw error;
  });

  let settleClosed = (): void => {};
  const closed = new Promise<void>((settle) => {
    settleClosed = settle;
  });
  const shutDown = async (): Promise<void> => {
    await listener.close();
    await Promise.all(
      [...streams].map((stream) => new Promise((ended) => void stream.once('close', ended))),
    );
    // What is left are peers that have not proven themselves.
    listener.abort();
    await server.close();
    await state.close();
  };
  const close = (): Promise<void> => (closing ??= shutDown().finally(settleClosed));
  return {
    bridgeLine: formatBridgeLine({
      transport: options.transport,
      endpoint: listener.endpoint,
      args: server.clientArguments,
    }),
    address: listener.endpoint,
    close,
    abort() {
      // Whoever wants to hear that the state could not be saved awaits `close`.
      close().catch(() => {});
      listener.abort();
    },
    closed,
    [Symbol.asyncDispose]: close,
  };
}
