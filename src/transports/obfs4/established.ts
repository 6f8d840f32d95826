/** An obfs4 connection after its handshake: frames out with their shaping, frames in. */
import { ByteQueue } from '../../bytes/queue.ts';
import type { Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { Action } from '../contract.ts';
import type { DataPhase } from '../two-phase-session.ts';
import { FrameOpener, MAX_FRAME_BYTES, sealedBytes, type FrameSealer } from './frames.ts';
import { burstPadding, IatMode, type Obfs4Shaper } from './shaping.ts';

const NOTHING = new Uint8Array(0);

/** The data phase of either side. */
export class Established implements DataPhase {
  readonly #sealer: FrameSealer;
  readonly #opener: FrameOpener;
  readonly #shaper: Obfs4Shaper;
  readonly #iatMode: IatMode;
  /** Frames that wait for their turn; always empty with `iat-mode=0`. */
  readonly #queue = new ByteQueue();
  /** Whether the pause behind the last write is still on. */
  #pausing = false;
  /** What to do with a seed that the other side sends: only a client listens. */
  readonly #onSeed: ((seed: Uint8Array) => void) | undefined;

  constructor(setup: {
    readonly sealer: FrameSealer;
    readonly receiveKeys: Uint8Array;
    readonly shaper: Obfs4Shaper;
    readonly iatMode: IatMode;
    readonly rng: Rng;
    readonly onSeed?: (seed: Uint8Array) => void;
  }) {
    this.#sealer = setup.sealer;
    this.#opener = new FrameOpener(setup.receiveKeys, setup.rng);
    this.#shaper = setup.shaper;
    this.#iatMode = setup.iatMode;
    this.#onSeed = setup.onSeed;
  }

  get queuedBytes(): number {
    return this.#queue.length;
  }

  receive(chunk: Uint8Array): Action[] {
    const { payload, prngSeed, failure } = this.#opener.open(chunk);
    const actions: Action[] = [];
    if (prngSeed !== undefined) this.#onSeed?.(prngSeed);
    if (payload.length > 0) actions.push({ type: 'deliver', bytes: payload });
    if (failure !== undefined) actions.push({ type: 'failed', error: failure });
    return actions;
  }

  receiveEnd(): Action[] {
    if (!this.#opener.midFrame) return [{ type: 'deliverEnd' }];
    const error = new PosternError('ERR_STREAM_TRUNCATED', 'the connection ended inside a frame');
    return [{ type: 'failed', error }];
  }

  write(chunk: Uint8Array): Action[] {
    // One padding a burst; paranoid mode pads each write instead.
    const paddings =
      this.#iatMode === IatMode.paranoid
        ? []
        : burstPadding(sealedBytes(chunk.length), this.#shaper.sampleLength());
    const burst = this.#sealer.sealBurst(chunk, paddings);
    if (this.#iatMode === IatMode.none) return [{ type: 'send', bytes: burst }];
    this.#queue.push(burst);
    return this.#sendNext();
  }

  writeEnd(): Action[] {
    return [{ type: 'sendEnd' }];
  }

  /** The pause after a write is over. */
  timerFired(): Action[] {
    this.#pausing = false;
    return this.#sendNext();
  }

  /** One write of the queue and the pause behind it, unless one is on. */
  #sendNext(): Action[] {
    if (this.#pausing || this.#queue.length === 0) return [];
    this.#pausing = true;
    return [
      { type: 'send', bytes: this.#queue.take(this.#nextWriteBytes()) },
      { type: 'setTimer', delayMs: this.#shaper.sampleDelayMs() },
    ];
  }

  #nextWriteBytes(): number {
    if (this.#iatMode === IatMode.enabled) return MAX_FRAME_BYTES;
    for (;;) {
      const target = this.#shaper.sampleWriteLength();
      if (this.#queue.length >= target) return target;
      // Too little is left for this length: pad up to it. Where the padding takes two frames it
      // overshoots, and another length is drawn for what is now there.
      const paddings = burstPadding(this.#queue.length, target);
      this.#queue.push(this.#sealer.sealBurst(NOTHING, paddings));
      if (this.#queue.length === target) return target;
    }
  }
}
