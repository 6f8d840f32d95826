/**
 * Postern as a library: reach a bridge, be a bridge.
 *
 * Everything underneath has a subpath of its own; docs/as-a-library.md lists them.
 */
import type { Duplex } from 'node:stream';
import { resolve } from 'node:path';
import { systemRng } from './crypto/rng.ts';
import { PosternError } from './errors.ts';
import type { Dialer } from './net/dialer.ts';
import { createDirectDialer } from './net/direct-dialer.ts';
import { openFolder } from './net/folder.ts';
import { startTransportServer } from './net/transport-server.ts';
import { throughTransport } from './net/through-transport.ts';
import { createUpstreamDialer } from './net/upstream-dialer.ts';
import type { Endpoint } from './pt/address.ts';
import {
  type BridgeLine,
  formatBridgeLine,
  parseBridgeLine,
  publicLines,
} from './pt/bridge-line.ts';
import type { KeyValues } from './pt/key-value.ts';
import { parseUpstreamProxy } from './pt/upstream-proxy.ts';
import { openClientState } from './state/client-state.ts';
import { openStateDirectory, type StateDirectory } from './state/state-directory.ts';
import { systemClock } from './time.ts';
import { builtinTransports, type TransportRegistry } from './transports/registry.ts';

export { type ErrorCode, PosternError } from './errors.ts';
export { version } from './version.ts';

/** How a bridge is reached. */
export interface BridgeDialerOptions {
  /** The transports to choose from; the built-in ones by default. */
  readonly transports?: TransportRegistry;
  /** The only way out, if given: `dial(endpoint, { signal })` resolves with a connected `Duplex`. */
  readonly dial?: Dialer;
  /**
   * `socks5://`, `socks4a://` or `http://[user[:password]@]ip:port`: what everything goes through, if given,
   * reached by `dial`.
   */
  readonly upstreamProxy?: string;
  /**
   * The directory that keeps what makes later connections better, such as scramblesuit's tickets; not
   * for two processes at the same time. Without it they are kept until this process ends.
   */
  readonly stateDir?: string;
  /** Hears of arguments without effect, and what a silent bridge may mean; without it they are Node warnings. */
  readonly onNotice?: (notice: string) => void;
  /** How long one connection may take in all; without it only its single steps have limits. */
  readonly timeoutMs?: number;
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
 *   `ERR_HANDSHAKE_*`, what `dial` throws, `signal.reason`
 */
export async function connect(bridgeLine: string, options: ConnectOptions = {}): Promise<Duplex> {
  const { signal, ...dialerOptions } = options;
  const bridge = parseBridgeLine(bridgeLine);
  const dial = bridgeDialer(bridge, dialerOptions);
  return dial(bridge.endpoint, signal === undefined ? {} : { signal });
}

/**
 * A dialer through the transport of a bridge line; its target is the bridge's own endpoint.
 *
 * @throws PosternError what `connect` throws before anything is sent
 */
export function bridgeDialer(bridge: BridgeLine, options: BridgeDialerOptions = {}): Dialer {
  const { transports = builtinTransports, upstreamProxy, timeoutMs } = options;
  if (bridge.transport === undefined) {
    throw new PosternError('ERR_PT_BRIDGE_LINE', 'the line names no transport');
  }
  const context = {
    rng: systemRng,
    clock: systemClock,
    state: openClientState(options.stateDir),
    notify: options.onNotice ?? warnOfNotice,
  };
  const createSession = transports.get(bridge.transport).client(bridge.args, context);
  const { dial = createDirectDialer() } = options;
  const outward =
    upstreamProxy === undefined
      ? dial
      : createUpstreamDialer(parseUpstreamProxy(upstreamProxy), dial);
  const onSilence = options.onNotice ?? warnOfNotice;
  const through = throughTransport(outward, createSession, {
    onSilence,
    transport: bridge.transport,
  });
  return timeoutMs === undefined ? through : withTimeout(through, timeoutMs);
}

function warnOfNotice(notice: string): void {
  process.emitWarning(notice, 'PosternNotice');
}

/** A dialer that gives up after this time. */
function withTimeout(dial: Dialer, timeoutMs: number): Dialer {
  return async (target, { signal } = {}) => {
    const overdue = new AbortController();
    const timer = setTimeout(() => {
      const text = `no connection through the bridge within ${timeoutMs} ms`;
      overdue.abort(new PosternError('ERR_HANDSHAKE_TIMED_OUT', text));
    }, timeoutMs);
    const signals = signal === undefined ? [overdue.signal] : [overdue.signal, signal];
    try {
      return await dial(target, { signal: AbortSignal.any(signals) });
    } finally {
      clearTimeout(timer);
    }
  };
}

/** How a bridge is to run. */
export interface ListenOptions {
  /** The transport's name: `obfs4`, `obfs3`. */
  readonly transport: string;
  /** The transports to choose from; the built-in ones by default. */
  readonly transports?: TransportRegistry;
  /** An IP address of this machine; `0.0.0.0` or `::` for all of them. */
  readonly host: string;
  /** 0 lets the system choose; `address` tells. */
  readonly port: number;
  /**
   * The directory that keeps the bridge's identity: without it, a restart would make its lines useless.
   * Transports that keep nothing, such as obfs3, need none.
   */
  readonly stateDir?: string;
  /** Options of the transport, as `[['iat-mode', '1']]`. */
  readonly options?: KeyValues;
  /** The addresses at which clients reach it, for the bridge lines: IPs without brackets. */
  readonly publicAddresses?: readonly string[];
  /** Hears what the operator should know, such as a repaired state file; else it is a Node warning. */
  readonly onNotice?: (notice: string) => void;
  /** Gives the start up, which rejects with `signal.reason`; later it is the same as `abort`. */
  readonly signal?: AbortSignal;
}

/** A bridge that runs. */
export interface Listening {
  /** What clients need. A wildcard address in it must be replaced by the public one. */
  readonly bridgeLine: string;
  /** `bridgeLine`, and one more for each further public address, or for the other family. */
  readonly bridgeLines: readonly string[];
  /** Where it really listens. */
  readonly address: Endpoint;
  /**
   * Takes no new connections and resolves when the last one has ended and the state is saved.
   * Idempotent, and never rejects: what cannot be saved is a notice.
   */
  close(): Promise<void>;
  /** `close`, without waiting for anyone: ends the connections that stand. */
  abort(): void;
  /** Resolves once `close` or `abort` is through. Never rejects. */
  readonly closed: Promise<void>;
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Runs a bridge: `onConnection` gets the undisguised stream of every client that proved itself.
 * Anyone else gets no answer: what they send is thrown away. A stream that breaks emits 'error', which
 * may be left unheard, and 'close'. What `onConnection` throws, or the promise that it returns rejects
 * with, costs that connection and becomes a Node warning.
 *
 * @example
 *     const bridge = await listen(
 *       { transport: 'obfs4', host: '0.0.0.0', port: 443, stateDir: '/var/lib/bridge' },
 *       (stream) => stream.pipe(stream),
 *     );
 *     console.log(bridge.bridgeLine);
 * @throws PosternError `ERR_TRANSPORT_UNKNOWN`, `ERR_TRANSPORT_OPTION`, `ERR_TRANSPORT_STATE`,
 *   `ERR_PT_BRIDGE_LINE` for arguments that no line can carry, `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`;
 *   `signal.reason`. Nothing is left open then.
 */
export async function listen(
  options: ListenOptions,
  onConnection: (stream: Duplex) => unknown,
): Promise<Listening> {
  const { transports = builtinTransports, stateDir, host, port, signal } = options;
  const transport = transports.get(options.transport);
  const state = stateDir === undefined ? noState : openStateDirectory(resolve(stateDir));
  let bridgeLines: readonly string[] = [];
  try {
    const running = await startTransportServer({
      transport,
      endpoint: { host, port },
      options: options.options ?? [],
      context: {
        rng: systemRng,
        clock: systemClock,
        state,
        openFolder,
        notify: options.onNotice ?? warnOfNotice,
      },
      onConnection: (stream) => onConnection(stream),
      onListening: ({ endpoint, clientArguments: args }) => {
        const line = { transport: transport.name, endpoint, args };
        bridgeLines = publicLines(line, options.publicAddresses ?? []).map(formatBridgeLine);
      },
      signal,
    });
    const closed = running.closed.then(() => state.close());
    const close = async (): Promise<void> => {
      await running.close();
      await closed;
    };
    return {
      bridgeLine: bridgeLines[0]!,
      bridgeLines,
      address: running.listening,
      close,
      abort: () => running.abort(),
      closed,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await state.close();
    throw error;
  }
}

/** The state of a bridge that was given no directory: it can keep none, and says so when it would have to. */
const noState: StateDirectory = {
  read: needsDirectory,
  write: needsDirectory,
  append: needsDirectory,
  describe: (file) => file,
  close: async () => {},
};

async function needsDirectory(): Promise<never> {
  throw new PosternError(
    'ERR_TRANSPORT_STATE',
    'this transport keeps an identity: give a stateDir to keep it in',
  );
}
