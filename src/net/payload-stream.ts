import { Duplex } from 'node:stream';
import { tightly } from '../bytes/tightly.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import type { Reading } from './reading.ts';

/**
 * Where payload goes that no reader of the stream is to get: bytes that are owned.
 *
 * @returns whether it will not read them again, so that their memory can be given back
 */
export type PayloadSink = (bytes: Uint8Array) => boolean;

/**
 * A Duplex whose payload need not pass the streams of Node, which cost more than obfs3 does: it comes in by
 * `send` and goes out to a sink. Ends, errors and the close are the Duplex's.
 *
 *     towards the far end                          when it ends
 *     open      `send` is true: all is on its      `end` → `transmitEnd`
 *               way
 *     waiting   `send` was false: some waits;      `transmitEnd` behind what waits
 *               'drain' when no more
 *
 *     from the far end                             when the far end ends
 *     flowing   bytes go to the sink               `deliverEnd` → 'end'
 *     stopped   by `pause`: bytes wait             'end' behind what waits
 */
export abstract class PayloadStream extends Duplex {
  #sink: PayloadSink | undefined;
  #isSinkStopped = false;
  /** What was pushed and the reader has not come for. */
  #unclaimedBytes = 0;
  /** What came behind what the reader has not taken yet. */
  #undelivered: DeliveryQueue | undefined;
  /** Whether the end comes behind what waits in `#undelivered`. */
  #endWaits = false;
  /** Whether some of what `send` was given waits, and what comes behind it: a write, or the end. */
  #isSendWaiting = false;
  #behindSend: (() => void) | undefined;

  /** @param writableHighWaterMark what waits at most for who writes and does not `send` */
  constructor(writableHighWaterMark: number) {
    super({
      allowHalfOpen: true,
      writableHighWaterMark,
      // What waits for the reader waits in a queue that bounds its memory; Node counts bytes only.
      readableHighWaterMark: 1,
    });
  }

  /** What `send` was given and is not on its way. */
  abstract get unsentBytes(): number;

  /**
   * Sends payload, which is lent for the call. Not called again before it was true, or has called back.
   *
   * @param onDrained called if it is false, once more is wanted
   */
  protected abstract transmit(bytes: Uint8Array, onDrained: () => void): boolean;

  /** Sends the end. Not called while some payload waits. */
  protected abstract transmitEnd(onSent: () => void): void;

  /** The reader has taken some; `waitingBytes` is what it has not. */
  protected abstract taken(): void;

  /** Payload goes to `sink` from now on, and no more to who reads the stream. */
  readInto(sink: PayloadSink): Reading {
    this.#sink = sink;
    this.#isSinkStopped = true;
    return this;
  }

  override pause(): this {
    if (this.#sink === undefined) return super.pause();
    this.#isSinkStopped = true;
    return this;
  }

  override resume(): this {
    if (this.#sink !== undefined && this.#isSinkStopped) {
      // While it is stopped nothing overtakes what was pushed before there was a sink.
      const pushed = this.read() as Buffer | null;
      this.#isSinkStopped = false;
      if (pushed !== null) this.#sink(pushed);
      while (this.#undelivered !== undefined && this.#isWanted) this.#giveNext();
      this.taken();
    }
    // For its 'end'.
    return super.resume();
  }

  /**
   * Sends payload, which is lent for the call, behind what was written.
   *
   * @param onDrained is called in place of 'drain'
   * @returns false when no more is wanted before 'drain'
   */
  send(bytes: Uint8Array, onDrained?: () => void): boolean {
    if (this.writableLength > 0) {
      const isMoreWanted = this.write(Buffer.from(bytes));
      if (!isMoreWanted && onDrained !== undefined) this.once('drain', onDrained);
      return isMoreWanted;
    }
    const isReady = this.transmit(bytes, () => {
      this.#isSendWaiting = false;
      const behind = this.#behindSend;
      this.#behindSend = undefined;
      behind?.();
      if (onDrained === undefined) this.emit('drain');
      else onDrained();
    });
    this.#isSendWaiting = !isReady;
    return isReady;
  }

  /** The reader has taken all that it was given. */
  override _read(): void {
    this.#unclaimedBytes = 0;
    if (this.#sink === undefined) this.#giveNext();
    this.taken();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#doBehindSend(() => {
      if (this.transmit(chunk, callback)) callback();
    });
  }

  override _final(callback: () => void): void {
    this.#doBehindSend(() => this.transmitEnd(callback));
  }

  #doBehindSend(step: () => void): void {
    if (this.#isSendWaiting) this.#behindSend = step;
    else step();
  }

  /** Of what was delivered, what the reader has not taken. */
  protected get waitingBytes(): number {
    return this.#unclaimedBytes + (this.#undelivered?.length ?? 0);
  }

  /**
   * @param bytes owned; they may be a part of a larger buffer
   * @returns whether nobody will read them again
   */
  protected deliver(bytes: Uint8Array): boolean {
    if (this.#undelivered === undefined && this.#isWanted) return this.#give(bytes);
    this.#undelivered ??= new DeliveryQueue();
    this.#undelivered.push(bytes);
    return false;
  }

  /** The end, behind what was delivered. */
  protected deliverEnd(): void {
    if (this.#undelivered === undefined) this.push(null);
    else this.#endWaits = true;
  }

  #giveNext(): void {
    const bytes = this.#undelivered?.shift();
    if (bytes === undefined) return;
    if (this.#undelivered!.length === 0) this.#undelivered = undefined;
    this.#give(bytes);
    if (this.#endWaits && this.#undelivered === undefined) this.push(null);
  }

  /** What a reader that keeps up takes at once, or the first that one finds who comes later. */
  get #isWanted(): boolean {
    return this.#sink === undefined ? this.readableLength === 0 : !this.#isSinkStopped;
  }

  #give(bytes: Uint8Array): boolean {
    if (this.#sink !== undefined) return this.#sink(bytes);
    if (!this.push(tightly(bytes))) this.#unclaimedBytes = bytes.length;
    return false;
  }
}
