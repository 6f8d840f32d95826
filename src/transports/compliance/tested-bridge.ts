/** What checks are run on: a server with its state in memory, and clients of it. */
import type { Clock } from '../../time.ts';
import type { Rng } from '../../crypto/rng.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import type { Session, Transport, TransportServer } from '../contract.ts';
import { MemoryState } from '../memory-state.ts';
import { SessionPair, type PairOptions } from './session-pair.ts';

/** One server of the transport under test, and what makes clients of it. */
export class TestedBridge {
  readonly server: TransportServer;
  readonly #createSession: () => Session;

  private constructor(server: TransportServer, createSession: () => Session) {
    this.server = server;
    this.#createSession = createSession;
  }

  /** Starts a server with empty state, and reads the arguments that it publishes as its client. */
  static async start(transport: Transport, setup: BridgeSetup): Promise<TestedBridge> {
    const { rng, clock, serverOptions = [], clientArguments = [] } = setup;
    const server = await transport.server(serverOptions, {
      rng,
      clock,
      state: new MemoryState(),
      notify: () => {},
    });
    const published = server.clientArguments.filter(
      ([key]) => !clientArguments.some(([own]) => own === key),
    );
    const createSession = transport.client([...published, ...clientArguments], { rng, clock });
    return new TestedBridge(server, () => createSession());
  }

  clientSession(): Session {
    return this.#createSession();
  }

  serverSession(): Session {
    return this.server.createSession();
  }

  /** A new connection, on which nothing has happened yet. */
  connect(options: PairOptions = {}): SessionPair {
    return new SessionPair(this.clientSession(), this.serverSession(), {
      overwriteLent: false, // for the one check that is about it
      ...options,
    });
  }
}

/** What a bridge is made with. */
export interface BridgeSetup {
  readonly rng: Rng;
  readonly clock: Clock;
  readonly serverOptions?: KeyValues | undefined;
  readonly clientArguments?: KeyValues | undefined;
}
