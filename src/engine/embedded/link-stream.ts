import { Duplex } from 'node:stream';
import { limits } from '../../limits.ts';
import type { Timers } from '../../parent/timers.ts';

/** What is asked about bytes on their way. */
export interface Meter {
  /** So many bytes have passed. @returns how long the next ones have to wait, in milliseconds */
  readonly onRead: (bytes: number) => number;
  readonly onWrite: (bytes: number) => number;
  readonly after: Timers['after'];
}

/** For a link inside another one, whose bytes are counted there. */
export const freeMeter: Meter = { onRead: () => 0, onWrite: () => 0, after: () => () => {} };

/**
 * The stream between HTTP/2 and a transport. It asks the meter about all that passes, and it joins what is written at once: HTTP/2 hands out each frame's
 * header and payload for themselves, and a transport would disguise them one by one.
 */
export class LinkStream extends Duplex {
  readonly #inner: Duplex;
  readonly #meter: Meter;
  readonly #cancels = new Set<() => void>();
  #readWaits = false;
  #writeWaits = false;
  #callback: ((error?: Error | null) => void) | undefined;

  constructor(inner: Duplex, meter: Meter) {
    super({ allowHalfOpen: true, highWaterMark: limits.streamBufferBytes });
    this.#inner = inner;
    this.#meter = meter;
    inner.on('data', (chunk: Buffer) => this.#deliver(chunk));
    inner.on('end', () => this.push(null));
    inner.on('drain', () => this.#continueWriting());
    inner.on('error', (error) => this.destroy(error));
    inner.on('close', () => {
      if (!(inner.readableEnded && inner.writableFinished)) this.destroy();
    });
  }

  override _read(): void {
    if (!this.#readWaits) this.#inner.resume();
  }

  override _write(
    chunk: Buffer,
    _: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.#callback = callback;
    const delayMs = this.#meter.onWrite(chunk.length);
    this.#inner.write(chunk);
    if (delayMs > 0) {
      this.#writeWaits = true;
      this.#wait(delayMs, () => {
        this.#writeWaits = false;
        this.#continueWriting();
      });
    }
    this.#continueWriting();
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void,
  ): void {
    const joined = Buffer.concat(chunks.map(({ chunk }) => chunk));
    this._write(joined, 'buffer' as BufferEncoding, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#inner.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    for (const cancel of this.#cancels) cancel();
    this.#inner.destroy();
    callback(error);
  }

  #deliver(chunk: Buffer): void {
    const delayMs = this.#meter.onRead(chunk.length);
    if (!this.push(chunk)) this.#inner.pause();
    if (delayMs <= 0) return;
    this.#readWaits = true;
    this.#inner.pause();
    this.#wait(delayMs, () => {
      this.#readWaits = false;
      this.#inner.resume();
    });
  }

  #continueWriting(): void {
    if (this.#writeWaits || this.#inner.writableNeedDrain) return;
    const callback = this.#callback;
    this.#callback = undefined;
    callback?.();
  }

  #wait(delayMs: number, then: () => void): void {
    const cancel = this.#meter.after(delayMs, () => {
      this.#cancels.delete(cancel);
      then();
    });
    this.#cancels.add(cancel);
  }
}
