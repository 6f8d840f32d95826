/**
 * Memory that goes back to the system as soon as nobody will read it again.
 *
 * V8 frees the memory behind a Buffer when it collects garbage. A stream of payload makes so much of it that
 * V8 collects the whole heap again and again, and by the time a piece of memory is used once more it has left
 * every cache: together a quarter of the CPU time of obfs3. Given back at once, the next piece is made where
 * the last one was.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isTight } from './tightly.ts';

/**
 * Gives back the memory of bytes that nobody else has and that nobody will read again.
 *
 * @param bytes empty afterwards; left as they are where they are few, or a smaller part of their memory
 */
export function giveBack(bytes: Uint8Array): void {
  // Never a slice of Node's pool, for it is short beside the pool.
  if (bytes.length < MIN_BYTES || !isTight(bytes) || lent.has(bytes.buffer)) return;
  transfer ??= findTransfer();
  transfer.call(bytes.buffer, 0);
}

/**
 * Memory that is lent again and again is never given back, not even if somebody hands on what he was lent: the
 * system would go on writing where it was.
 *
 * @returns the bytes
 */
export function lentOnly<T extends Uint8Array>(bytes: T): T {
  lent.add(bytes.buffer);
  return bytes;
}

const lent = new WeakSet<ArrayBufferLike>();

/** Below, it costs more than it saves. */
const MIN_BYTES = 8192;

/** `ArrayBuffer.prototype.transfer`: moves the memory, here to nowhere. */
type Transfer = (this: ArrayBufferLike, newByteLength: number) => unknown;

let transfer: Transfer | undefined;

function findTransfer(): Transfer {
  const { transfer: found } = ArrayBuffer.prototype as { transfer?: Transfer };
  if (found !== undefined) return found;
  // Node 20 has it behind a flag, which holds for contexts that are made after it is set.
  setFlagsFromString('--harmony-rab-gsab-transfer');
  const made = runInNewContext('ArrayBuffer.prototype.transfer') as Transfer | undefined;
  return made ?? (() => {});
}
