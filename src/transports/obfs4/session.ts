/** obfs4's two sessions: a handshake, then the data phase that both share. */
import type { ElligatorKeyPair } from '../../crypto/elligator2.ts';
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import type { Action, Environment } from '../contract.ts';
import { TwoPhaseSession } from '../two-phase-session.ts';
import { Established } from './established.ts';
import { FrameSealer, PRNG_SEED_BYTES } from './frames.ts';
import { ClientHandshake, type ServerHandshake } from './handshake.ts';
import type { BridgeIdentity } from './identity.ts';
import { Obfs4Shaper, type IatMode } from './shaping.ts';

const CLIENT_TIMEOUT_MS = 60_000;
/** How long a server waits for a client's handshake. */
export const SERVER_TIMEOUT_MS = 30_000;

abstract class Obfs4Session extends TwoPhaseSession<Established> {
  protected readonly transport = 'obfs4';
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
    const shaper = new Obfs4Shaper(randomBytes(rng, PRNG_SEED_BYTES), rng);
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
  readonly shaper: Obfs4Shaper;
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
