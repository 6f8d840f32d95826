/** ScrambleSuit's two sessions: a handshake, then the data phase that both share. */
import { randomBytes } from '../../crypto/rng.ts';
import type { Action, Sources } from '../contract.ts';
import type { Shaper } from '../shaper.ts';
import { CLIENT_TIMEOUT_MS, SERVER_TIMEOUT_MS } from '../handshake-time.ts';
import { TwoPhaseSession, type DataPhase } from '../two-phase-session.ts';
import type { IatMode } from './arguments.ts';
import { createDataPhase, sealWelcome } from './data-phase.ts';
import { FrameFlags, FrameOpener, FrameSealer } from './frames.ts';
import { ClientHandshake, redeemTicket, ServerHandshake, type ServerSecrets } from './handshake.ts';
import type { SessionKeys } from './keys.ts';
import { createShaper, PRNG_SEED_BYTES } from './shaping.ts';
import { KEY_TICKET_BYTES } from './ticket-store.ts';
import type { Ticket } from './tickets.ts';

/**
 * How long a client that redeems a ticket waits for the server's first frame. A server that refuses the ticket
 * says nothing, and the next connection uses UniformDH: waiting long would be of no use.
 */
const TICKET_TIMEOUT_MS = 15_000;

abstract class ScramblesuitSession extends TwoPhaseSession {
  protected readonly transport = 'scramblesuit';
}

/** What a client's session is made of. */
export interface ClientSetup {
  /** 20 bytes. */
  readonly password: Uint8Array;
  readonly iatMode: IatMode;
  /** The ticket to redeem, called once the wire is there; without one there will be UniformDH. */
  readonly takeTicket: () => Ticket | undefined;
  /** Keeps a ticket that the server has issued: master key(32) ‖ ticket(112). */
  readonly onTicket: (keyTicket: Uint8Array) => void;
}

/** The client's session. */
export class ClientSession extends ScramblesuitSession {
  protected readonly failure = 'failed';
  readonly #setup: ClientSetup;
  readonly #sources: Sources;
  /** Let go of with its buffer once it is done, or a ticket makes it superfluous. */
  #handshake: ClientHandshake | undefined;
  /** The data phase that a ticket gives, until the server's first frame shows that it took the ticket. */
  #unheard: DataPhase | undefined;
  #hasTicketBeenTaken = false;

  constructor(setup: ClientSetup, sources: Sources) {
    super();
    this.#setup = setup;
    this.#sources = sources;
    this.#handshake = new ClientHandshake(setup.password, sources);
  }

  start(): readonly Action[] {
    const ticket = this.#setup.takeTicket();
    if (ticket === undefined) {
      return [
        { type: 'send', bytes: this.#handshake!.request() },
        { type: 'setTimer', delayMs: CLIENT_TIMEOUT_MS },
      ];
    }
    this.#handshake = undefined;
    const { keys, message } = redeemTicket(ticket, this.#sources);
    this.#unheard = this.#createDataPhase(keys);
    return [
      { type: 'send', bytes: message },
      { type: 'setTimer', delayMs: TICKET_TIMEOUT_MS },
    ];
  }

  protected handshake(chunk: Uint8Array): readonly Action[] {
    if (this.#unheard !== undefined) return this.#hear(this.#unheard, chunk);
    const result = this.#handshake!.receive(chunk);
    if (result === undefined) return [];
    this.#handshake = undefined;
    this.established = this.#createDataPhase(result.keys);
    return [
      { type: 'clearTimer' },
      { type: 'established' },
      ...this.established.receive(result.leftover),
    ];
  }

  /** A server that takes a ticket sends a new one at once, so nothing is lost by waiting for it. */
  #hear(data: DataPhase, chunk: Uint8Array): readonly Action[] {
    const actions = data.receive(chunk);
    if (!this.#hasTicketBeenTaken && !actions.some(({ type }) => type === 'deliver'))
      return actions;
    this.#unheard = undefined;
    this.established = data;
    return [{ type: 'clearTimer' }, { type: 'established' }, ...actions];
  }

  #createDataPhase({ clientToServer, serverToClient }: SessionKeys): DataPhase {
    const { rng } = this.#sources;
    const shaper = createShaper(randomBytes(rng, PRNG_SEED_BYTES), rng);
    return createDataPhase({
      sealer: new FrameSealer(clientToServer),
      opener: new FrameOpener(serverToClient),
      shaper,
      iatMode: this.#setup.iatMode,
      onOther: ({ kind, content }) => {
        this.#hasTicketBeenTaken = true;
        if (kind === FrameFlags.newTicket && content.length === KEY_TICKET_BYTES) {
          this.#setup.onTicket(content);
        } else if (kind === FrameFlags.prngSeed && content.length === PRNG_SEED_BYTES) {
          shaper.reseed(content);
        }
      },
    });
  }
}

/** What all sessions of one server share. */
export interface ServerShaping {
  readonly shaper: Shaper;
  /** 32 bytes: what the shaper was made from, for the client to shape alike. */
  readonly seed: Uint8Array;
  readonly iatMode: IatMode;
}

/** The server's session. */
export class ServerSession extends ScramblesuitSession {
  protected readonly failure = 'rejected';
  readonly #secrets: ServerSecrets;
  readonly #shaping: ServerShaping;
  /** Freed with its buffer once it is done: idle connections stay small. */
  #handshake: ServerHandshake | undefined;

  constructor(secrets: ServerSecrets, shaping: ServerShaping, sources: Sources) {
    super();
    this.#secrets = secrets;
    this.#shaping = shaping;
    this.#handshake = new ServerHandshake(secrets, sources);
  }

  start(): readonly Action[] {
    return [{ type: 'setTimer', delayMs: SERVER_TIMEOUT_MS }];
  }

  protected handshake(chunk: Uint8Array): readonly Action[] {
    const accepted = this.#handshake!.receive(chunk);
    if (accepted === undefined) return [];
    this.#handshake = undefined;
    const { shaper, seed, iatMode } = this.#shaping;
    const { clientToServer, serverToClient } = accepted.keys;
    const sealer = new FrameSealer(serverToClient);
    const opener = new FrameOpener(clientToServer);
    this.established = createDataPhase({ sealer, opener, shaper, iatMode });
    const { masterKey, ticket } = this.#secrets.tickets.issue();
    const welcome = sealWelcome(sealer, shaper, Buffer.concat([masterKey, ticket]), seed);
    return [
      { type: 'clearTimer' },
      // In one write: obfs4proxy mistakes an answer that is cut between its mark and its MAC.
      { type: 'send', bytes: Buffer.concat([accepted.response, welcome]) },
      { type: 'established' },
      ...this.established.receive(accepted.leftover),
    ];
  }
}
