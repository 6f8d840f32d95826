import { addAbortListener } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describeError, PosternBug } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import type { KeyValues } from '../pt/key-value.ts';
import { openServer } from '../transports/argument-names.ts';
import { beginConnection, countFailedHandshake, countWire } from '../tallies.ts';
import type {
  ClientAddress,
  ServerContext,
  Session,
  Transport,
  TransportServer,
} from '../transports/contract.ts';
import { type OnFault, unawaited, warnOfFault } from '../unawaited.ts';
import { listenTcp, type Listener } from './listener.ts';
import { beginHandshake, endHandshake, type PendingHandshake } from './pending-handshakes.ts';
import { discardUntilClosed } from './rejected.ts';
import { openByHandshake, TlsAcceptors } from './handshake-accept.ts';
import { openTransportStream } from './transport-stream.ts';

/** What clients need to know of a transport that listens. */
export interface Published {
  /** Where it really listens, port 0 become a number; or what a transport has stand for that in bridge lines. */
  readonly endpoint: Endpoint;
  /** The transport's client arguments, as they stand in a bridge line. */
  readonly clientArguments: KeyValues;
}

/** How a server transport is to run. */
export interface TransportServerOptions {
  readonly transport: Transport;
  readonly endpoint: Endpoint;
  /** The transport's own options. */
  readonly options?: KeyValues;
  /** Its state is not closed by the server. */
  readonly context: ServerContext;
  /**
   * A peer proved itself: `stream`, which is open, is the undisguised connection, `wire` what it came in
   * on, `client` whom it is for where the handshake told. It may return a promise, which nobody waits for:
   * what it throws, or the promise rejects with, costs this connection.
   */
  readonly onConnection: (stream: Duplex, wire: Socket, client: ClientAddress) => unknown;
  /** A handshake that came to nothing; the peer is dealt with already. */
  readonly onFailedHandshake?: (error: unknown) => void;
  /** Hears of a fault in one of the two; without it the fault becomes a warning of the process. */
  readonly onFault?: OnFault;
  /** It listens, and nobody has connected yet: what this throws undoes the start. */
  readonly onListening?: (published: Published, listening: Endpoint) => void;
  /** Gives the start up, which rejects with `signal.reason`; later it is the same as `abort`. */
  readonly signal?: AbortSignal | undefined;
}

/** A server transport that runs. */
export interface RunningTransport extends Published {
  /** Where it really listens. */
  readonly listening: Endpoint;
  /**
   * Takes no new connections, and resolves when the last one that was handed out has ended and what the
   * transport held is saved. A peer that proves itself after this is turned away. Idempotent, and never
   * rejects: what cannot be saved is a notice.
   */
  close(): Promise<void>;
  /** `close`, without waiting for anyone: ends every connection. */
  abort(): void;
  /** Resolves once `close` or `abort` is through. Never rejects. */
  readonly closed: Promise<void>;
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The one place that starts a server transport: loads its state, listens, and runs its handshake on every
 * connection. Nothing of it is left open when it throws.
 *
 * Past the cap on handshakes that run at the same time one of them is treated exactly as if it had failed:
 * load must not show from outside, and whoever can come with nothing must not keep out who has a secret.
 *
 * @throws PosternError `ERR_TRANSPORT_OPTION`, `ERR_TRANSPORT_STATE`, `ERR_LISTEN_*`; what
 *   `onListening` throws; `signal.reason`
 */
export async function startTransportServer(
  options: TransportServerOptions,
): Promise<RunningTransport> {
  const { transport, endpoint, context, onListening = () => {}, signal } = options;
  signal?.throwIfAborted();
  const server = await openServer(transport, options.options ?? [], context);
  const acceptors = new TlsAcceptors(context.notify);
  const accepted = new AcceptedConnections(options, server, acceptors);
  let opened: Listener | undefined;
  let published: Published;
  try {
    await acceptors.of(server.tls);
    opened = await listenTcp(
      (await server.listenAt?.(endpoint)) ?? endpoint,
      (wire) => accepted.accept(wire),
      options.onFault,
    );
    signal?.throwIfAborted();
    published = {
      endpoint: (await server.publish?.(opened.endpoint)) ?? opened.endpoint,
      clientArguments: server.clientArguments,
    };
    onListening(published, opened.endpoint);
  } catch (error) {
    opened?.abort();
    acceptors.close();
    await saveState(server, context);
    throw error;
  }

  const listener = opened;
  let closing: Promise<void> | undefined;
  const shutDown = async (): Promise<void> => {
    await listener.close();
    await accepted.close();
    // What is left are peers that have not proven themselves.
    listener.abort();
    abortion?.[Symbol.dispose]();
    acceptors.close();
    await saveState(server, context);
  };
  const close = (): Promise<void> => (closing ??= shutDown().finally(settleClosed));
  let settleClosed!: () => void;
  const closed = new Promise<void>((resolve) => (settleClosed = resolve));
  const abort = (): void => {
    unawaited(close);
    listener.abort();
    accepted.abort();
  };
  const abortion = signal && addAbortListener(signal, abort);
  const { endpoint: listening } = listener;
  return { ...published, listening, close, abort, closed, [Symbol.asyncDispose]: close };
}

async function saveState(server: TransportServer, { notify }: ServerContext): Promise<void> {
  try {
    await server.close();
  } catch (error) {
    notify(describeError(error));
  }
}

/** Where a connection comes from; undefined when it has gone already. */
function addressOf({ remoteAddress, remotePort }: Socket): Endpoint | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return { host: remoteAddress, port: remotePort };
}

const MANY_PENDING =
  'too many connections wait for their handshake: the oldest of those that have sent least are given up';

/** The connections of one listener: those whose peer may still prove itself, and the streams of those that did. */
class AcceptedConnections {
  readonly #options: TransportServerOptions;
  readonly #server: TransportServer;
  readonly #acceptors: TlsAcceptors;
  readonly #open = new Set<Duplex>();
  readonly #forget: (this: Duplex) => void;
  /** The same for all of them. */
  #countEnd: () => void = () => {};
  /** Set once it is closing: called when the last stream has ended. */
  #onEmpty: (() => void) | undefined;

  constructor(options: TransportServerOptions, server: TransportServer, acceptors: TlsAcceptors) {
    this.#options = options;
    this.#server = server;
    this.#acceptors = acceptors;
    // One function for all streams: a closure each would be half a kilobyte.
    const forget = (stream: Duplex): void => {
      this.#open.delete(stream);
      this.#countEnd();
      if (this.#open.size === 0) this.#onEmpty?.();
    };
    this.#forget = function (this: Duplex) {
      forget(this);
    };
  }

  /** Runs the transport's handshake on a connection. */
  accept(wire: Socket): void {
    const session = this.#createSession(wire);
    if (session === undefined) {
      discardUntilClosed(wire, this.#server.rejectAfterMs);
      return;
    }
    let pending: PendingHandshake | undefined;
    const onBegin = (reject: () => void): void => {
      const { handshake, madeRoom } = beginHandshake(wire, reject);
      pending = handshake;
      if (madeRoom) this.#options.context.notify(MANY_PENDING);
    };
    this.#runHandshake(wire, session, onBegin).then(
      ({ stream, client }) => {
        endHandshake(pending!);
        this.#handOut(stream, wire, client);
      },
      (error: unknown) => {
        endHandshake(pending!);
        this.#fail(error);
      },
    );
  }

  #createSession(wire: Socket): Session | undefined {
    try {
      return this.#server.createSession(addressOf(wire));
    } catch (error) {
      this.#fail(new PosternBug('the transport could not make a session', { cause: error }));
      return undefined;
    }
  }

  async #runHandshake(
    wire: Socket,
    session: Session,
    onBegin: (reject: () => void) => void,
  ): Promise<{ readonly stream: Duplex; readonly client?: ClientAddress }> {
    const { rejectAfterMs, tls } = this.#server;
    if (session.onlyHandshake === undefined) {
      return { stream: await openTransportStream(wire, session, { rejectAfterMs, onBegin }) };
    }
    const opened = await openByHandshake(wire, {
      handshake: session.onlyHandshake,
      acceptor: this.#acceptors.of(tls),
      withoutTls: this.#server.createSessionWithoutTls?.bind(this.#server),
      onBegin,
    });
    countWire(wire);
    return opened;
  }

  #handOut(stream: Duplex, wire: Socket, client: ClientAddress): void {
    if (stream.destroyed) {
      // Between the end of its handshake and this moment.
      this.#fail(stream.errored ?? new Error('the connection ended behind its handshake'));
      return;
    }
    if (this.#onEmpty !== undefined) {
      stream.destroy();
      return;
    }
    const { transport, onConnection, onFault = warnOfFault } = this.#options;
    this.#open.add(stream);
    stream.once('close', this.#forget);
    this.#countEnd = beginConnection('server', transport.name);
    unawaited(
      () => onConnection(stream, wire, client),
      (error) => {
        stream.destroy();
        onFault(error);
      },
    );
  }

  #fail(error: unknown): void {
    const { transport, onFailedHandshake, onFault } = this.#options;
    countFailedHandshake('server', transport.name, error);
    unawaited(() => onFailedHandshake?.(error), onFault);
  }

  /** Takes no more, and resolves when the last one has ended. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      if (this.#open.size === 0) resolve();
    });
  }

  abort(): void {
    for (const stream of this.#open) stream.destroy();
  }
}
