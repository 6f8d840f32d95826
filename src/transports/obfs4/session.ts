/** obfs4's two sessions: a handshake, then the data phase that both share. */
import type { ElligatorKeyPair } from '../../crypto/elligator2.ts';
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { Action, Environment, Session } from '../contract.ts';
import { Established } from './established.ts';
import { FrameSealer, PRNG_SEED_BYTES } from './frames.ts';
import { ClientHandshake, type ServerHandshake } from './handshake.ts';
import type { BridgeIdentity } from './identity.ts';
import { Shaper, type IatMode } from './shaping.ts';

const CLIENT_TIMEOUT_MS = 60_000;
/** How long a server waits for a client's handshake. */
export const SERVER_TIMEOUT_MS = 30_000;

/** What both sides do alike: the handshake until it is done, the data phase from then on. */
abstract class Obfs4Session implements Session {
  protected established: Established | undefined;

  abstract start(): readonly Action[];
  protected abstract handshake(chunk: Uint8Array): readonly Action[];
  /** How this side takes a handshake that failed. */
  protected abstract readonly failure: 'failed' | 'rejected';

  get queuedBytes(): number {
    return this.established?.queuedBytes ?? 0;
  }

  receive(chunk: Uint8Array): readonly Action[] {
    if (this.established !== undefined) return this.established.receive(chunk);
    try {
      return this.handshake(chunk);
    } catch (error) {
      if (error instanceof PosternError) return [{ type: this.failure, error }];
      throw error;
    }
  }

  receiveEnd(): readonly Action[] {
    if (this.established !== undefined) return this.established.receiveEnd();
    const error = new PosternError('ERR_HANDSHAKE_CLOSED', 'the peer closed during the handshake');
    return [{ type: 'failed', error }];
  }

  timerFired(): readonly Action[] {
    if (this.established !== undefined) return this.established.timerFired();
    const error = new PosternError('ERR_HANDSHAKE_TIMED_OUT', 'the obfs4 handshake took too long');
    return [{ type: this.failure, error }];
  }

  write(chunk: Uint8Array): readonly Action[] {
    return this.established!.write(chunk);
  }

  writeEnd(): readonly Action[] {
    return this.established!.writeEnd();
  }
}

/** The client's session. */
export class ClientSession extends Obfs4Session {
  protected readonly failure = 'failed';
  /** Let go of with its buffer once it is done: idle connections stay small. */
  #handshake: ClientHandshake | undefined;
  readonly #iatMode: IatMode;
  readonly #environment: Environment;

  constructor(
    bridge: BridgeIdentity,
    iatMode: IatMode,
    keyPair: ElligatorKeyPair,
    environment: Environment,
  ) {
    super();
    this.#handshake = new ClientHandshake(bridge, keyPair, environment);
    this.#iatMode = iatMode;
    this.#environment = environment;
  }

  start(): readonly Action[] {
    return [
      { type: 'send', bytes: this.#handshake!.request() },
      { type: 'setTimer', delayMs: CLIENT_TIMEOUT_MS },
    ];
  }

  protected handshake(chunk: Uint8Array): readonly Action[] {
    const result = this.#handshake!.receive(chunk);
    if (result === undefined) return [];
    this.#handshake = undefined;
    const { rng } = this.#environment;
    const shaper = new Shaper(randomBytes(rng, PRNG_SEED_BYTES), rng);
    this.established = new Established({
      sealer: new FrameSealer(result.keys.clientToServer),
      receiveKeys: result.keys.serverToClient,
      shaper,
      iatMode: this.#iatMode,
      rng,
      onSeed: (seed) => shaper.reseed(seed),
    });
    return [
      { type: 'clearTimer' },
      { type: 'established' },
      ...this.established.receive(result.leftover),
    ];
  }
}

/** What all sessions of one server share. */
export interface ServerShaping {
  readonly shaper: Shaper;
  /** 24 bytes: what the shaper was made from, for the client to shape alike. */
  readonly seed: Uint8Array;
  readonly iatMode: IatMode;
}

/** The server's session. */
export class ServerSession extends Obfs4Session {
  protected readonly failure = 'rejected';
  /** Let go of with its buffer once it is done: idle connections stay small. */
  #handshake: ServerHandshake | undefined;
  readonly #shaping: ServerShaping;
  readonly #rng: Rng;

  constructor(handshake: ServerHandshake, shaping: ServerShaping, rng: Rng) {
    super();
    this.#handshake = handshake;
    this.#shaping = shaping;
    this.#rng = rng;
  }

  start(): readonly Action[] {
    return [{ type: 'setTimer', delayMs: SERVER_TIMEOUT_MS }];
  }

  protected handshake(chunk: Uint8Array): readonly Action[] {
    const result = this.#handshake!.receive(chunk);
    if (result === undefined) return [];
    this.#handshake = undefined;
    const { shaper, seed, iatMode } = this.#shaping;
    const sealer = new FrameSealer(result.keys.serverToClient);
    this.established = new Established({
      sealer,
      receiveKeys: result.keys.clientToServer,
      shaper,
      iatMode,
      rng: this.#rng,
    });
    const seedFrame = sealer.sealSeed(seed);
    return [
      { type: 'clearTimer' },
      { type: 'send', bytes: Buffer.concat([result.response, seedFrame]) },
      { type: 'established' },
    ];
  }
}
