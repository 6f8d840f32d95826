/** Watches a transport's handshake: what comes, when, and how it ends. */
import type { Action, Route, Session, Transport } from '../transports/contract.ts';

/** What was seen on the wire until the handshake was done. */
export interface WireRecord {
  /** The first bytes that came, at most 16 of them. */
  first: Buffer;
  receivedBytes: number;
  /** Whether the far end said that it sends no more. */
  hasEnded: boolean;
  /** From what we sent last to the bytes that made the handshake complete. */
  roundTripMs: number | undefined;
}

/** The record of a way that has just begun. */
export function nothingSeen(): WireRecord {
  return { first: Buffer.alloc(0), receivedBytes: 0, hasEnded: false, roundTripMs: undefined };
}

/** Hears of the two ends of the handshake. */
export interface HandshakeObserver {
  readonly wire: WireRecord;
  /** The ways to the bridge, where it does not say itself where it is. */
  onRoutes(routes: readonly Route[]): void;
  onStart(): void;
  onEstablished(): void;
}

/** The same transport, whose next session is observed. */
export function observeTransport(transport: Transport, observer: HandshakeObserver): Transport {
  return {
    ...transport,
    client(args, context) {
      const createSession = transport.client(args, context);
      return Object.assign(
        (...given: Parameters<typeof createSession>) =>
          new ObservedSession(createSession(...given), observer),
        createSession.ready === undefined ? {} : { ready: createSession.ready },
        createSession.routes === undefined
          ? {}
          : {
              routes: () => {
                const routes = createSession.routes!();
                observer.onRoutes(routes);
                return routes;
              },
            },
      );
    },
  };
}

class ObservedSession implements Session {
  readonly #session: Session;
  readonly #observer: HandshakeObserver;
  /** When we sent something that has not been answered yet. */
  #sentMs: number | undefined;
  #isEstablished = false;

  constructor(session: Session, observer: HandshakeObserver) {
    this.#session = session;
    this.#observer = observer;
  }

  get queuedBytes(): number {
    return this.#session.queuedBytes;
  }

  start(): readonly Action[] {
    this.#observer.onStart();
    return this.#look(this.#session.start());
  }

  receive(chunk: Uint8Array): readonly Action[] {
    if (!this.#isEstablished) this.#record(chunk);
    return this.#look(this.#session.receive(chunk));
  }

  write(chunk: Uint8Array): readonly Action[] {
    return this.#session.write(chunk);
  }

  timerFired(): readonly Action[] {
    return this.#look(this.#session.timerFired());
  }

  receiveEnd(): readonly Action[] {
    if (!this.#isEstablished) this.#observer.wire.hasEnded = true;
    return this.#look(this.#session.receiveEnd());
  }

  writeEnd(): readonly Action[] {
    return this.#session.writeEnd();
  }

  #record(chunk: Uint8Array): void {
    const { wire } = this.#observer;
    wire.first = Buffer.concat([wire.first, chunk]).subarray(0, FIRST_BYTES);
    wire.receivedBytes += chunk.length;
    if (this.#sentMs === undefined) return;
    wire.roundTripMs = performance.now() - this.#sentMs;
    this.#sentMs = undefined;
  }

  #look(actions: readonly Action[]): readonly Action[] {
    if (this.#isEstablished) return actions;
    return actions.map((action) => {
      if (action.type === 'compute') {
        const { step } = action;
        const looking = (): readonly Action[] | undefined => {
          const next = step();
          return next && this.#look(next);
        };
        return { type: 'compute', step: looking };
      }
      if (action.type === 'send') this.#sentMs = performance.now();
      if (action.type === 'established') {
        this.#isEstablished = true;
        this.#observer.onEstablished();
      }
      return action;
    });
  }
}

const FIRST_BYTES = 16;
