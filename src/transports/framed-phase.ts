/** A connection of obfs4 or ScrambleSuit after its handshake: frames out with their shaping, frames in. */
import { PosternError } from '../errors.ts';
import type { Action } from './contract.ts';
import { PacedWriter, type Pacing } from './paced-writer.ts';
import type { DataPhase } from './two-phase-session.ts';

/** What came out of one chunk. */
export interface Opened {
  /** The payload of all frames, back to back; owned by the caller. */
  readonly payload: Uint8Array;
  /** What frames carried besides payload, in order; owned. There may be unknown kinds. */
  readonly others: readonly OtherContent[];
  /** Why nothing can be opened after this payload: `ERR_FRAME_MALFORMED`. */
  readonly failure: PosternError | undefined;
}

/** What a frame carries that is no payload. */
export interface OtherContent {
  /** In the transport's own numbers. */
  readonly kind: number;
  readonly content: Uint8Array;
}

/** Opens one direction's frames. */
export interface Opener {
  /** Whether a frame has begun and not ended. */
  readonly midFrame: boolean;
  /** Opens every frame that is complete with this chunk, which is borrowed for the call. */
  open(chunk: Uint8Array): Opened;
}

/** What a data phase is made of. */
export interface FramedPhaseSetup {
  /** Payload as frames, with the padding that this side adds to a burst; owned. */
  readonly sealBurst: (payload: Uint8Array) => Buffer;
  readonly opener: Opener;
  /** Undefined when what is written is sent at once. */
  readonly pacing: Pacing | undefined;
  /** What to do with what the other side sends besides payload: only a client listens. */
  readonly onOther?: ((other: OtherContent) => void) | undefined;
}

/** The data phase of either side. */
export class FramedPhase implements DataPhase {
  readonly #setup: FramedPhaseSetup;
  readonly #pacedWriter: PacedWriter | undefined;

  constructor(setup: FramedPhaseSetup) {
    this.#setup = setup;
    this.#pacedWriter = setup.pacing && new PacedWriter(setup.pacing);
  }

  get queuedBytes(): number {
    return this.#pacedWriter?.queuedBytes ?? 0;
  }

  receive(chunk: Uint8Array): Action[] {
    const { opener, onOther } = this.#setup;
    const { payload, others, failure } = opener.open(chunk);
    for (const other of others) onOther?.(other);
    const actions: Action[] = [];
    if (payload.length > 0) actions.push({ type: 'deliver', bytes: payload });
    if (failure !== undefined) actions.push({ type: 'failed', error: failure });
    return actions;
  }

  receiveEnd(): Action[] {
    if (!this.#setup.opener.midFrame) return [{ type: 'deliverEnd' }];
    const error = new PosternError('ERR_STREAM_TRUNCATED', 'the connection ended inside a frame');
    return [{ type: 'failed', error }];
  }

  write(chunk: Uint8Array): Action[] {
    const bytes = this.#setup.sealBurst(chunk);
    return this.#pacedWriter?.write(bytes) ?? [{ type: 'send', bytes }];
  }

  writeEnd(): Action[] {
    return [{ type: 'sendEnd' }];
  }

  timerFired(): Action[] {
    return this.#pacedWriter?.timerFired() ?? [];
  }
}
