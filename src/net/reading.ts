/**
 * Reading a stream without a fresh buffer for each read, where the system lets us.
 *
 * Node reads every socket into 64 KiB of new memory. Clearing the pages, filling cold caches and throwing
 * it all away costs more than the AES of obfs3. A reader that is done with the bytes when its callback returns
 * can be lent them instead: all sockets read into one buffer of this thread.
 *
 * Node has that for sockets that it dials (`onread`), but not for one that it accepts, nor for one that has
 * spoken SOCKS before. So a socket is given the fields that `onread` would have given it. Where one of them
 * is not as we know it, 'data' does the same at its price.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { lentOnly } from '../bytes/give-back.ts';

/** What reads a stream, for one reader. It begins paused. */
export interface Reading {
  /** Nothing comes until `resume`. */
  pause(): void;
  /** Reads on; the first time what the stream holds already comes before this returns. */
  resume(): void;
}

/** A reading that its reader may leave. */
export interface LeavableReading extends Reading {
  /** Reads on and throws away what comes. */
  discard(): void;
}

/** Must not throw. */
export type OnBytes = (bytes: Buffer) => void;

/**
 * Reads a stream in chunks that are lent: `onBytes` must be done with them when it returns. The stream's
 * other events come as always; `pause`, `resume` and 'data' are the reading's from now on.
 */
export function readLent(stream: Duplex, onBytes: OnBytes): LeavableReading {
  return canLend(stream) ? new LentReading(stream, onBytes) : readOwned(stream, onBytes);
}

/** Reads a stream in chunks that are the reader's to keep. */
export function readOwned(stream: Duplex, onBytes: OnBytes): LeavableReading {
  return new OwnedReading(stream, onBytes);
}

/** Whether a socket, or the TLS over one, is being read, and so hears of its end. */
export function isBeingRead(stream: Duplex): boolean {
  if (stream.readableEnded) return false;
  const inside = insideOf(stream);
  const isLent = fields !== undefined && inside[fields.buffer] instanceof Uint8Array;
  return isLent ? inside._handle?.reading === true : stream.readableFlowing === true;
}

class OwnedReading implements LeavableReading {
  readonly #stream: Duplex;
  readonly #onBytes: OnBytes;

  constructor(stream: Duplex, onBytes: OnBytes) {
    this.#stream = stream;
    this.#onBytes = onBytes;
    stream.pause().on('data', onBytes);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  discard(): void {
    this.#stream.off('data', this.#onBytes).resume();
  }
}

class LentReading implements LeavableReading {
  readonly #socket: Socket;
  readonly #inside: Inside;
  #onBytes: OnBytes;
  #isPaused = true;
  #hasBegun = false;

  constructor(socket: Socket, onBytes: OnBytes) {
    this.#socket = socket;
    this.#inside = insideOf(socket);
    this.#onBytes = onBytes;
  }

  /** Not by the stream's own `pause`: behind that a `resume` of the same tick would still read. */
  pause(): void {
    this.#isPaused = true;
    const handle = this.#inside._handle;
    if (!this.#hasBegun || handle?.reading !== true) return;
    handle.reading = false;
    handle.readStop();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#hasBegun) this.#begin();
    // What it held may have been enough.
    if (!this.#isPaused && !this.#socket.destroyed) this.#socket._read(0);
  }

  discard(): void {
    this.#onBytes = ignore;
    this.resume();
    // Nothing of the reader is kept, for as long as the socket is.
    if (this.#hasBegun) this.#inside[fields!.callback] = ignore;
  }

  #begin(): void {
    this.#hasBegun = true;
    const held: Buffer[] = [];
    // The last of these calls finds an end that has come already.
    for (;;) {
      const bytes = this.#socket.read() as Buffer | null;
      if (bytes === null) break;
      held.push(bytes);
    }
    const { buffer, callback } = fields!;
    this.#inside[buffer] = BUFFER;
    this.#inside[callback] = (count: number) => this.#onBytes(BUFFER.subarray(0, count));
    this.#inside._handle?.useUserBuffer(BUFFER);
    if (held.length > 0) this.#onBytes(Buffer.concat(held));
  }
}

/**
 * Nearly twice what Node takes from a socket at once: the fewer calls the better. What becomes of it, frames and
 * all, is still below the 128 KiB from which on malloc asks the system for new pages each time.
 */
const BUFFER: Buffer = lentOnly(Buffer.allocUnsafeSlow(122_880));

/** A socket as `onread` leaves it (lib/internal/stream_base_commons.js). */
interface Inside {
  readonly _handle: Handle | null | undefined;
  [field: symbol]: unknown;
}

/** What libuv has of it. */
interface Handle {
  reading: boolean;
  readStop(): number;
  useUserBuffer(buffer: Buffer): number;
}

/** The names of its two fields; undefined until there has been a socket that has them. */
let fields: { readonly buffer: symbol; readonly callback: symbol } | undefined;

function insideOf(stream: Duplex): Inside {
  return stream as unknown as Inside;
}

/** No descendant of `Socket`: TLS delivers behind `readStop`. And Windows holds on to a buffer between reads. */
function canLend(stream: Duplex): stream is Socket {
  if (Object.getPrototypeOf(stream) !== Socket.prototype || process.platform === 'win32')
    return false;
  const inside = insideOf(stream as Socket);
  if (fields === undefined) {
    const symbols = Object.getOwnPropertySymbols(stream);
    const named = (name: string): symbol | undefined =>
      symbols.find(({ description }) => description === name);
    const [buffer, callback, next] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map(named);
    if (buffer === undefined || callback === undefined || next === undefined) return false;
    fields = { buffer, callback };
  }
  const { _handle: handle } = inside;
  const isFree = inside[fields.buffer] === null && inside[fields.callback] === null;
  return (
    isFree && typeof handle?.useUserBuffer === 'function' && typeof handle.readStop === 'function'
  );
}

function ignore(): void {}
