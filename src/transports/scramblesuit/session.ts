/** ScrambleSuit's two sessions: a handshake, then the data phase that both share. */
import { randomBytes } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { Action, Environment } from '../contract.ts';
import type { Shaper } from '../shaper.ts';
import { TwoPhaseSession } from '../two-phase-session.ts';
import type { IatMode } from './arguments.ts';
import { Established } from './established.ts';
import { FrameFlags } from './frames.ts';
import { ClientHandshake, redeemTicket, ServerHandshake, type ServerSecrets } from './handshake.ts';
import type { SessionKeys } from './keys.ts';
import { createShaper, PRNG_SEED_BYTES } from './shaping.ts';
import { KEY_TICKET_BYTES } from './ticket-store.ts';
import type { Ticket } from './tickets.ts';

const CLIENT_TIMEOUT_MS = 60_000;
/** How long a server waits for a client's handshake. */
export const SERVER_TIMEOUT_MS = 30_000;

abstract class ScramblesuitSession extends TwoPhaseSession<Established> {
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
  readonly #environment: Environment;
  /** Let go of with its buffer once it is done, or a ticket makes it superfluous. */
  #handshake: ClientHandshake | undefined;
  /** With a ticket there is no other sign that the server took it. */
  #heardServer = false;

  constructor(setup: ClientSetup, environment: Environment) {
    super();
    this.#setup = setup;
    this.#environment = environment;
    this.#handshake = new ClientHandshake(setup.password, environment);
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
    const { keys, message } = redeemTicket(ticket, this.#environment);
    this.#establish(keys);
    return [{ type: 'send', bytes: message }, { type: 'established' }];
  }

  override receive(chunk: Uint8Array): readonly Action[] {
    this.#heardServer = true;
    return super.receive(chunk);
  }

  override receiveEnd(): readonly Action[] {
    // A server that took the ticket has sent a new one, at least.
    if (this.#heardServer || this.established === undefined) return super.receiveEnd();
    const text = 'the bridge closed without a word: it did not take the session ticket';
    return [{ type: 'failed', error: new PosternError('ERR_HANDSHAKE_CLOSED', text) }];
  }

  protected handshake(chunk: Uint8Array): readonly Action[] {
    const result = this.#handshake!.receive(chunk);
    if (result === undefined) return [];
    this.#handshake = undefined;
    const established = this.#establish(result.keys);
    return [
      { type: 'clearTimer' },
      { type: 'established' },
      ...established.receive(result.leftover),
    ];
  }

  #establish({ clientToServer, serverToClient }: SessionKeys): Established {
    const { rng } = this.#environment;
    const shaper = createShaper(randomBytes(rng, PRNG_SEED_BYTES), rng);
    this.established = new Established({
      sendKeys: clientToServer,
      receiveKeys: serverToClient,
      shaper,
      iatMode: this.#setup.iatMode,
      onOther: (flags, content) => {
        if (flags === FrameFlags.newTicket && content.length === KEY_TICKET_BYTES) {
          this.#setup.onTicket(content);
        } else if (flags === FrameFlags.prngSeed && content.length === PRNG_SEED_BYTES) {
          shaper.reseed(content);
        }
      },
    });
    return this.established;
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
  /** Let go of with its buffer once it is done: idle connections stay small. */
  #handshake: ServerHandshake | undefined;

  constructor(secrets: ServerSecrets, shaping: ServerShaping, environment: Environment) {
    super();
    this.#secrets = secrets;
    this.#shaping = shaping;
    this.#handshake = new ServerHandshake(secrets, environment);
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
    this.established = new Established({
      sendKeys: serverToClient,
      receiveKeys: clientToServer,
      shaper,
      iatMode,
    });
    const { masterKey, ticket } = this.#secrets.tickets.issue();
    const welcome = this.established.sealWelcome(Buffer.concat([masterKey, ticket]), seed);
    return [
      { type: 'clearTimer' },
      // In one write: obfs4proxy mistakes an answer that is cut between its mark and its MAC.
      { type: 'send', bytes: Buffer.concat([accepted.response, welcome]) },
      { type: 'established' },
      ...this.established.receive(accepted.leftover),
    ];
  }
}
