/** A ScrambleSuit connection after its handshake: frames out with their shaping, frames in. */
import { ByteQueue } from '../../bytes/queue.ts';
import { PosternError } from '../../errors.ts';
import type { Action } from '../contract.ts';
import type { Shaper } from '../shaper.ts';
import type { DataPhase } from '../two-phase-session.ts';
import { IatMode } from './arguments.ts';
import { FrameFlags, FrameOpener, FrameSealer, MAX_FRAME_BYTES, sealedLength } from './frames.ts';
import type { DirectionKeys } from './keys.ts';
import { burstPaddings } from './shaping.ts';

/** The data phase of either side. */
export class Established implements DataPhase {
  readonly #sealer: FrameSealer;
  readonly #opener: FrameOpener;
  readonly #shaper: Shaper;
  readonly #iatMode: IatMode;
  /** Frames that wait for their turn; always empty with `iat-mode=0`. */
  readonly #queue = new ByteQueue();
  /** Whether the pause before the next write is on. */
  #pausing = false;
  /** What to do with what the other side sends besides payload: only a client listens. */
  readonly #onOther: ((flags: number, content: Uint8Array) => void) | undefined;

  constructor(setup: {
    readonly sendKeys: DirectionKeys;
    readonly receiveKeys: DirectionKeys;
    readonly shaper: Shaper;
    readonly iatMode: IatMode;
    readonly onOther?: (flags: number, content: Uint8Array) => void;
  }) {
    this.#sealer = new FrameSealer(setup.sendKeys);
    this.#opener = new FrameOpener(setup.receiveKeys);
    this.#shaper = setup.shaper;
    this.#iatMode = setup.iatMode;
    this.#onOther = setup.onOther;
  }

  get queuedBytes(): number {
    return this.#queue.length;
  }

  receive(chunk: Uint8Array): Action[] {
    const { payload, others, failure } = this.#opener.open(chunk);
    for (const { flags, content } of others) this.#onOther?.(flags, content);
    const actions: Action[] = [];
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
    const burst = this.#seal(FrameFlags.payload, chunk, 0);
    if (this.#iatMode === IatMode.none) return [{ type: 'send', bytes: burst }];
    this.#queue.push(burst);
    return this.#pause();
  }

  writeEnd(): Action[] {
    return [{ type: 'sendEnd' }];
  }

  /** The pause before a write is over. */
  timerFired(): Action[] {
    const bytes = this.#queue.take(MAX_FRAME_BYTES);
    this.#pausing = false;
    return [{ type: 'send', bytes }, ...(this.#queue.length > 0 ? this.#pause() : [])];
  }

  /** What a server sends as soon as a client has proven itself; owned. */
  sealWelcome(keyTicket: Uint8Array, prngSeed: Uint8Array): Buffer {
    const ticket = this.#sealer.seal(FrameFlags.newTicket, keyTicket, []);
    return Buffer.concat([ticket, this.#seal(FrameFlags.prngSeed, prngSeed, ticket.length)]);
  }

  /** A burst, padded to its sampled length. */
  #seal(flags: number, content: Uint8Array, bytesBefore: number): Buffer {
    const burstBytes = bytesBefore + sealedLength(content.length);
    return this.#sealer.seal(
      flags,
      content,
      burstPaddings(burstBytes, this.#shaper.sampleLength()),
    );
  }

  #pause(): Action[] {
    if (this.#pausing) return [];
    this.#pausing = true;
    return [{ type: 'setTimer', delayMs: this.#shaper.sampleDelayMs() }];
  }
}
