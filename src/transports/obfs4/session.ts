/** obfs4's two sessions: a handshake, then the data phase that both share. */
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import type { Action, Sources } from '../contract.ts';
import { CLIENT_TIMEOUT_MS, SERVER_TIMEOUT_MS } from '../handshake-time.ts';
import { TwoPhaseSession } from '../two-phase-session.ts';
import { createDataPhase } from './data-phase.ts';
import { FrameOpener, FrameSealer, PRNG_SEED_BYTES } from './frames.ts';
import type { ClientHandshake, ServerHandshake } from './handshake.ts';
import { Obfs4Shaper, type IatMode } from './shaping.ts';

abstract class Obfs4Session extends TwoPhaseSession {
  protected readonly transport = 'obfs4';
}

/** The client's session. */
export class ClientSession extends Obfs4Session {
  protected readonly failure = 'failed';
  /** Freed with its buffer once it is done: idle connections stay small. */
  #handshake: ClientHandshake | undefined;
  readonly #iatMode: IatMode;
  readonly #sources: Sources;

  constructor(handshake: ClientHandshake, iatMode: IatMode, sources: Sources) {
    super();
    this.#handshake = handshake;
    this.#iatMode = iatMode;
    this.#sources = sources;
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
    const { rng } = this.#sources;
    const shaper = new Obfs4Shaper(randomBytes(rng, PRNG_SEED_BYTES), rng);
    this.established = createDataPhase({
      sealer: new FrameSealer(result.keys.clientToServer),
      opener: new FrameOpener(result.keys.serverToClient, rng),
      shaper,
      iatMode: this.#iatMode,
      onOther: ({ content }) => shaper.reseed(content), // only seeds come out of an opener
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
  /** Freed with its buffer once it is done: idle connections stay small. */
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
    const opener = new FrameOpener(result.keys.clientToServer, this.#rng);
    this.established = createDataPhase({ sealer, opener, shaper, iatMode });
    const seedFrame = sealer.sealSeed(seed);
    return [
      { type: 'clearTimer' },
      { type: 'send', bytes: Buffer.concat([result.response, seedFrame]) },
      { type: 'established' },
    ];
  }
}
