import { Duplex } from 'node:stream';
import { limits } from '../../limits.ts';
import type { Timers } from '../../time.ts';

/** What is asked about bytes on their way. */
export interface Meter {
  /** So many bytes have passed. @returns how long the next ones have to wait, in milliseconds */
  readonly onRead: (bytes: number) => number;
  readonly onWrite: (bytes: number) => number;
  readonly after: Timers['after'];
}

/** For a link inside another one, whose bytes are counted there. */
export const freeMeter: Meter = { onRead: () => 0, onWrite: () => 0, after: () => () => {} };

type Callback = (error?: Error | null) => void;

/**
 * The stream between HTTP/2 and a transport. It asks the meter about all that passes, and it joins
 * what is written at once: HTTP/2 hands out each frame's header and payload for themselves, and a
 * transport would disguise them one by one.
 */
export class LinkStream extends Duplex {
  readonly #inner: Duplex;
  readonly #meter: Meter;
  readonly #cancels = new Set<() => void>();
  #readWaits = false;
  /** Where frames are joined: one write is on its way at a time, so one place is enough. */
  #scratch: Buffer | undefined;

  constructor(inner: Duplex, meter: Meter) {
    super({ allowHalfOpen: true, highWaterMark: limits.streamBufferBytes });
    this.#inner = inner;
    this.#meter = meter;
    inner.on('data', (chunk: Buffer) => this.#deliver(chunk));
    inner.on('end', () => this.push(null));
    inner.on('error', (error) => this.destroy(error));
    inner.on('close', () => {
      if (!(inner.readableEnded && inner.writableFinished)) this.destroy();
    });
  }

  override _read(): void {
    if (!this.#readWaits) this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    const delayMs = this.#meter.onWrite(chunk.length);
    if (delayMs <= 0) this.#inner.write(chunk, callback);
    else this.#inner.write(chunk, () => this.#wait(delayMs, callback));
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    callback: Callback,
  ): void {
    const length = chunks.reduce((sum, { chunk }) => sum + chunk.length, 0);
    const joined = this.#place(length);
    let offset = 0;
    for (const { chunk } of chunks) {
      joined.set(chunk, offset);
      offset += chunk.length;
    }
    this._write(joined, 'buffer' as BufferEncoding, callback);
  }

  override _final(callback: Callback): void {
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

  /** Room for so many bytes, used again and again while much is written, and given up after that. */
  #place(length: number): Buffer {
    if (length < SMALL_BYTES) {
      this.#scratch = undefined;
      return Buffer.allocUnsafe(length);
    }
    if (this.#scratch === undefined || this.#scratch.length < length) {
      this.#scratch = Buffer.allocUnsafeSlow(Math.max(length, SCRATCH_BYTES));
    }
    return this.#scratch.subarray(0, length);
  }

  #wait(delayMs: number, then: () => void): void {
    const cancel = this.#meter.after(delayMs, () => {
      this.#cancels.delete(cancel);
      then();
    });
    this.#cancels.add(cancel);
  }
}

const SMALL_BYTES = 4096;
const SCRATCH_BYTES = 131_072;
