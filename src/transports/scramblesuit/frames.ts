/**
 * ScrambleSuit's messages, called frames here as everywhere in this program.
 *
 * frame = MAC(16) ‖ encrypted body             MAC over the encrypted body: HMAC-SHA256-128
 * body  = length(2) ‖ payload length(2) ‖ flags(1) ‖ payload ‖ zero padding
 *
 * The bodies of a direction are one AES-256-CTR stream. Both directions work on whole chunks: a call
 * of the cipher costs more than the encryption of a frame.
 */
import { giveBack } from '../../bytes/give-back.ts';
import { ByteQueue } from '../../bytes/queue.ts';
import { AesCtrStream } from '../../crypto/aes-ctr.ts';
import { FRAME_MAC_BYTES, FrameMac } from '../../crypto/frame-mac.ts';
import { PosternError } from '../../errors.ts';
import type { Opened, Opener, OtherContent } from '../framed-phase.ts';
import type { DirectionKeys } from './keys.ts';

/** The longest frame: what fits one TCP segment of an Ethernet path (1500 - 52). */
export const MAX_FRAME_BYTES = 1448;
const HEADER_BYTES = 5;
/** What a frame adds to its payload and padding. */
export const FRAME_OVERHEAD: number = FRAME_MAC_BYTES + HEADER_BYTES;
/** The most payload and padding that one frame carries. */
export const MAX_PAYLOAD_BYTES: number = MAX_FRAME_BYTES - FRAME_OVERHEAD;
const MAX_BODY_BYTES: number = HEADER_BYTES + MAX_PAYLOAD_BYTES;

/** What a frame carries. */
export const FrameFlags = { payload: 1, newTicket: 2, prngSeed: 4 } as const;

/** Bodies are put together here before they are encrypted; nothing here is asynchronous. */
const slab = Buffer.alloc(48 * MAX_BODY_BYTES);

/** How long the frames for so much payload are, without padding. */
export function sealedLength(payloadBytes: number): number {
  return payloadBytes + Math.ceil(payloadBytes / MAX_PAYLOAD_BYTES) * FRAME_OVERHEAD;
}

/** Seals frames, in order. */
export class FrameSealer {
  readonly #stream: AesCtrStream;
  readonly #mac: FrameMac;

  constructor(keys: DirectionKeys) {
    this.#stream = new AesCtrStream(keys.key, keys.counter);
    this.#mac = new FrameMac(keys.macKey);
  }

  /**
   * All of `payload` in as few frames as it needs, and behind them a frame of padding alone for each
   * entry of `paddings`; one owned buffer.
   */
  seal(flags: number, payload: Uint8Array, paddings: readonly number[]): Buffer {
    const paddingBytes = paddings.reduce((sum, count) => sum + count + FRAME_OVERHEAD, 0);
    const out = Buffer.allocUnsafe(sealedLength(payload.length) + paddingBytes);
    let outEnd = 0;
    let bodiesEnd = 0;
    for (let at = 0; at < payload.length; at += MAX_PAYLOAD_BYTES) {
      if (bodiesEnd + MAX_BODY_BYTES > slab.length) {
        outEnd = this.#sealBodies(bodiesEnd, out, outEnd);
        bodiesEnd = 0;
      }
      const end = Math.min(at + MAX_PAYLOAD_BYTES, payload.length);
      bodiesEnd = writeHeader(bodiesEnd, end - at, end - at, flags);
      slab.set(payload.subarray(at, end), bodiesEnd);
      bodiesEnd += end - at;
    }
    for (const count of paddings) {
      if (bodiesEnd + MAX_BODY_BYTES > slab.length) {
        outEnd = this.#sealBodies(bodiesEnd, out, outEnd);
        bodiesEnd = 0;
      }
      bodiesEnd = writeHeader(bodiesEnd, count, 0, FrameFlags.payload);
      slab.fill(0, bodiesEnd, bodiesEnd + count);
      bodiesEnd += count;
    }
    this.#sealBodies(bodiesEnd, out, outEnd);
    return out;
  }

  /** Encrypts the bodies that the slab holds and writes them out as frames; returns their end. */
  #sealBodies(bodiesEnd: number, out: Buffer, outStart: number): number {
    const encrypted = this.#stream.process(slab.subarray(0, bodiesEnd));
    let outEnd = outStart;
    for (let at = 0; at < bodiesEnd;) {
      const end = at + HEADER_BYTES + ((slab[at]! << 8) | slab[at + 1]!);
      const bodyAt = outEnd + FRAME_MAC_BYTES;
      out.set(encrypted.subarray(at, end), bodyAt);
      this.#mac.write(out, outEnd, bodyAt, bodyAt + end - at);
      outEnd = bodyAt + end - at;
      at = end;
    }
    giveBack(encrypted);
    return outEnd;
  }
}

/** Writes a body's header to the slab and returns its end. */
function writeHeader(at: number, bodyBytes: number, payloadBytes: number, flags: number): number {
  slab[at] = bodyBytes >>> 8;
  slab[at + 1] = bodyBytes;
  slab[at + 2] = payloadBytes >>> 8;
  slab[at + 3] = payloadBytes;
  slab[at + 4] = flags;
  return at + HEADER_BYTES;
}

const NOTHING_OPENED: Opened = { payload: new Uint8Array(0), others: [], failure: undefined };

/** Opens frames. */
export class FrameOpener implements Opener {
  readonly #stream: AesCtrStream;
  /** The same stream, run ahead: lengths must be read before the bodies can be put together. */
  readonly #ahead: AesCtrStream;
  readonly #mac: FrameMac;
  /** Key stream that `#ahead` gave and that no whole frame has used yet. */
  #keyStream = new Uint8Array(0);
  /** The start of a frame whose rest has not come yet: less than one frame. */
  readonly #partial = new ByteQueue();
  /** How much of the next frame is needed before anything can be done. */
  #awaitedBytes = FRAME_OVERHEAD;

  constructor(keys: DirectionKeys) {
    this.#stream = new AesCtrStream(keys.key, keys.counter);
    this.#ahead = new AesCtrStream(keys.key, keys.counter);
    this.#mac = new FrameMac(keys.macKey);
  }

  get midFrame(): boolean {
    return this.#partial.length > 0;
  }

  open(chunk: Uint8Array): Opened {
    let input = chunk;
    if (this.#partial.length > 0) {
      this.#partial.push(chunk);
      if (this.#partial.length < this.#awaitedBytes) return NOTHING_OPENED;
      input = this.#partial.take();
    }
    this.#runAhead(input.length);
    const keyStream = this.#keyStream;
    const bodies = Buffer.allocUnsafe(input.length);
    let bodiesEnd = 0;
    let failure: PosternError | undefined;
    let at = 0;
    for (;;) {
      this.#awaitedBytes = FRAME_OVERHEAD;
      if (input.length - at < FRAME_OVERHEAD) break;
      const bodyAt = at + FRAME_MAC_BYTES;
      const length = readUint16(input, bodyAt, keyStream, bodiesEnd);
      const payloadBytes = readUint16(input, bodyAt + 2, keyStream, bodiesEnd + 2);
      if (length > MAX_PAYLOAD_BYTES || payloadBytes > length) {
        failure = malformed('its lengths');
        break;
      }
      const end = bodyAt + HEADER_BYTES + length;
      this.#awaitedBytes = end - at;
      if (end > input.length) break;
      if (!this.#mac.matches(input, at, bodyAt, end)) {
        failure = malformed('its authentication');
        break;
      }
      bodies.set(input.subarray(bodyAt, end), bodiesEnd);
      bodiesEnd += end - bodyAt;
      at = end;
    }
    // A copy: what is left is short, and a view would hold on to all of it while nothing comes, as would
    // a slice of Node's pool (64 KiB on Node 26).
    this.#keyStream = new Uint8Array(keyStream.subarray(bodiesEnd));
    giveBack(keyStream);
    if (failure === undefined && at < input.length) this.#partial.push(input.subarray(at));
    return { ...this.#readBodies(bodies.subarray(0, bodiesEnd)), failure };
  }

  /** Sees to it that there is key stream for so many bytes. */
  #runAhead(byteCount: number): void {
    const missing = byteCount - this.#keyStream.length;
    if (missing <= 0) return;
    if (zeros.length < missing) zeros = Buffer.alloc(missing);
    const more = this.#ahead.process(zeros.subarray(0, missing));
    this.#keyStream = Buffer.concat([this.#keyStream, more]);
    giveBack(more);
  }

  /** Decrypts bodies, which are whole and authentic and are given back, and moves their payloads together. */
  #readBodies(encrypted: Buffer): Pick<Opened, 'payload' | 'others'> {
    if (encrypted.length === 0) return NOTHING_OPENED;
    const bodies = this.#stream.process(encrypted);
    giveBack(encrypted);
    const others: OtherContent[] = [];
    let payloadEnd = 0;
    for (let at = 0; at < bodies.length;) {
      const length = (bodies[at]! << 8) | bodies[at + 1]!;
      const payloadBytes = (bodies[at + 2]! << 8) | bodies[at + 3]!;
      const flags = bodies[at + 4]!;
      const from = at + HEADER_BYTES;
      if (flags === FrameFlags.payload) {
        bodies.copyWithin(payloadEnd, from, from + payloadBytes);
        payloadEnd += payloadBytes;
      } else {
        const content = Uint8Array.from(bodies.subarray(from, from + payloadBytes));
        others.push({ kind: flags, content });
      }
      at = from + length;
    }
    return { payload: bodies.subarray(0, payloadEnd), others };
  }
}

let zeros = Buffer.alloc(0);

/** Two octets, big-endian, at `at` of the encrypted bytes. */
function readUint16(
  encrypted: Uint8Array,
  at: number,
  keyStream: Uint8Array,
  keyAt: number,
): number {
  const high = encrypted[at]! ^ keyStream[keyAt]!;
  const low = encrypted[at + 1]! ^ keyStream[keyAt + 1]!;
  return (high << 8) | low;
}

function malformed(what: string): PosternError {
  return new PosternError(
    'ERR_FRAME_MALFORMED',
    `a ScrambleSuit frame failed the check of ${what}`,
  );
}
