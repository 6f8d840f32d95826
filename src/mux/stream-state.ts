import { giveBack } from '../bytes/give-back.ts';
import { copyTightly } from '../bytes/tightly.ts';
import { FrameFlag, INITIAL_WINDOW_BYTES } from './messages.ts';
import type { Scheduled } from './schedule.ts';

/** One stream as the session knows it. Who uses the session reads it, and changes nothing but the owner. */
export class MuxStreamState<Owner = unknown> implements Scheduled {
  readonly id: number;
  /** Whose stream it is; the session does not look at it. */
  owner: Owner | undefined;
  /** Bytes that came and have not been taken: `consumed` has not been told of them. */
  heldBytes = 0;
  /** Bytes that we may still send. */
  sendWindow: number = INITIAL_WINDOW_BYTES;
  /** Bytes that the peer may still send, and the size to which this is opened again. */
  receiveWindow: number = INITIAL_WINDOW_BYTES;
  receiveWindowSize: number = INITIAL_WINDOW_BYTES;
  /** When it was last taken from, in bytes that the session had received by then. */
  consumedAt = 0;
  /** What waits to be sent: the rest of one chunk. */
  pending: Uint8Array | undefined;
  /** The copy that it is the rest of, if it was copied. */
  #kept: Buffer | undefined;
  localEnd: 'open' | 'asked' | 'sent' = 'open';
  hasRemoteEnded = false;
  isAcked: boolean;
  /** SYN or ACK, until a frame has carried it. */
  firstFlag: number;
  mustAnnounce = true;
  isQueued = false;
  place = 0;
  ticket = 0;

  constructor(id: number, firstFlag: number) {
    this.id = id;
    this.firstFlag = firstFlag;
    this.isAcked = firstFlag === FrameFlag.ack;
  }

  /** Whether the peer has not heard of it: nothing needs to be taken back. */
  get isUnsent(): boolean {
    return this.firstFlag === FrameFlag.syn;
  }

  /** Whether both directions have ended. */
  get hasEnded(): boolean {
    return this.localEnd === 'sent' && this.hasRemoteEnded;
  }

  /** What is left of the bytes that were lent is copied. @returns whether there is any */
  keep(): boolean {
    if (this.pending === undefined) return false;
    this.#kept = copyTightly(this.pending);
    this.pending = this.#kept;
    return true;
  }

  /** Moves so many of the bytes that wait to be sent. */
  takePending(count: number, into: Buffer, offset: number): void {
    const pending = this.pending!;
    if (count === pending.length) {
      into.set(pending, offset);
      this.dropPending();
      return;
    }
    into.set(pending.subarray(0, count), offset);
    this.pending = pending.subarray(count);
  }

  dropPending(): void {
    this.pending = undefined;
    // At once: the collector would take what waits for its turn for long-lived.
    if (this.#kept !== undefined) giveBack(this.#kept);
    this.#kept = undefined;
  }
}
