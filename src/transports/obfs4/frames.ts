/**
 * obfs4's frames and the packets in them.
 *
 * frame  = length(2, masked) ‖ box(length)      length counts the box: 16..1446
 * box    = tag(16) ‖ encrypted packet           XSalsa20-Poly1305
 * packet = type(1) ‖ payload length(2) ‖ payload ‖ zero padding
 *
 * Both directions work on whole chunks: the frames of a chunk are sealed back to back into one
 * buffer and sent in one write, and all frames of a chunk are opened into one buffer.
 */
import { ByteQueue } from '../../bytes/queue.ts';
import { randomInteger, type Rng } from '../../crypto/rng.ts';
import { BOX_OVERHEAD, open, seal } from '../../crypto/secretbox.ts';
import { SipHashDrbg } from '../../crypto/siphash-drbg.ts';
import { PosternError } from '../../errors.ts';
import type { Opened, Opener, OtherContent } from '../framed-phase.ts';

/** The longest frame: what fits one TCP segment of an Ethernet path (1500 - 52). */
export const MAX_FRAME_BYTES = 1448;
/** What a frame adds to its packet's payload: length, tag, packet type and payload length. */
export const FRAME_OVERHEAD: number = 2 + BOX_OVERHEAD + 3;
/** The most payload that one packet carries. */
export const MAX_PAYLOAD_BYTES: number = MAX_FRAME_BYTES - FRAME_OVERHEAD;
/** Key material of one direction: key 32, nonce prefix 16, mask seed 24. */
export const DIRECTION_KEY_BYTES = 72;

/** Packet types; unknown ones are ignored. */
export const PacketType = { payload: 0, prngSeed: 1 } as const;

const LENGTH_BYTES = 2;
const HEADER_BYTES = 3;
const MIN_BOX_BYTES = BOX_OVERHEAD;
const MAX_BOX_BYTES = MAX_FRAME_BYTES - LENGTH_BYTES;

/** The key, the counting nonce and the length mask of one direction. */
class DirectionState {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array = new Uint8Array(24);
  readonly mask: SipHashDrbg;

  constructor(keys: Uint8Array) {
    this.key = Uint8Array.from(keys.subarray(0, 32));
    this.nonce.set(keys.subarray(32, 48));
    this.nonce[23] = 1;
    this.mask = new SipHashDrbg(keys.subarray(48, DIRECTION_KEY_BYTES));
  }

  /** Counts the big-endian counter in the nonce's last 8 bytes up. */
  advance(): void {
    const { nonce } = this;
    for (let index = 23; index >= 16; index -= 1) {
      if (nonce[index]! < 0xff) {
        nonce[index]! += 1;
        return;
      }
      nonce[index] = 0;
    }
    throw new PosternError('ERR_FRAME_MALFORMED', 'the nonce counter of a direction is used up');
  }
}

/*
 * Sealing happens in one slab that all sessions share (nothing here is asynchronous) and that has
 * ready-made views for the place of each full frame: making two views a frame costs a tenth of the
 * whole data path. The slab holds what comes from one read of a socket, with its padding.
 */
const SLAB_FRAMES = 48;
const slab = new Uint8Array(SLAB_FRAMES * MAX_FRAME_BYTES);
const fullSlots = Array.from({ length: SLAB_FRAMES }, (_, index) => {
  const start = index * MAX_FRAME_BYTES;
  return {
    packet: slab.subarray(start + LENGTH_BYTES + BOX_OVERHEAD, start + MAX_FRAME_BYTES),
    box: slab.subarray(start + LENGTH_BYTES, start + MAX_FRAME_BYTES),
  };
});
const NOTHING = new Uint8Array(0);

/** How long the frames are that carry so much payload. */
export function sealedBytes(payloadBytes: number): number {
  return payloadBytes + Math.ceil(payloadBytes / MAX_PAYLOAD_BYTES) * FRAME_OVERHEAD;
}

/** Seals packets into frames, in order. */
export class FrameSealer {
  readonly #state: DirectionState;

  /** @param keys 72 bytes of key material, copied */
  constructor(keys: Uint8Array) {
    this.#state = new DirectionState(keys);
  }

  /**
   * All of `payload` in as few frames as it needs, then an empty packet for each entry of
   * `paddings`, padded with so many zeros; one owned buffer.
   */
  sealBurst(payload: Uint8Array, paddings: readonly number[]): Buffer {
    const paddingBytes = paddings.reduce((sum, bytes) => sum + bytes + FRAME_OVERHEAD, 0);
    const burst = Buffer.allocUnsafe(sealedBytes(payload.length) + paddingBytes);
    let burstEnd = 0;
    let slabEnd = 0;
    const makeRoom = (): void => {
      if (slabEnd + MAX_FRAME_BYTES <= slab.length) return;
      burst.set(slab.subarray(0, slabEnd), burstEnd);
      burstEnd += slabEnd;
      slabEnd = 0;
    };
    for (let at = 0; at < payload.length; at += MAX_PAYLOAD_BYTES) {
      makeRoom();
      const length = Math.min(MAX_PAYLOAD_BYTES, payload.length - at);
      const part = new Uint8Array(payload.buffer, payload.byteOffset + at, length);
      slabEnd = this.#seal(slabEnd, PacketType.payload, part, 0);
    }
    for (const bytes of paddings) {
      makeRoom();
      slabEnd = this.#seal(slabEnd, PacketType.payload, NOTHING, bytes);
    }
    burst.set(slab.subarray(0, slabEnd), burstEnd);
    return burst;
  }

  /** One frame with the bridge's seed; an owned buffer. */
  sealSeed(seed: Uint8Array): Buffer {
    return Buffer.from(slab.subarray(0, this.#seal(0, PacketType.prngSeed, seed, 0)));
  }

  /** Seals one packet at `start` of the slab and returns the frame's end. */
  #seal(start: number, type: number, payload: Uint8Array, paddingBytes: number): number {
    const state = this.#state;
    const packetAt = start + LENGTH_BYTES + BOX_OVERHEAD;
    const payloadEnd = packetAt + HEADER_BYTES + payload.length;
    const end = payloadEnd + paddingBytes;
    slab[packetAt] = type;
    slab[packetAt + 1] = payload.length >>> 8;
    slab[packetAt + 2] = payload.length;
    slab.set(payload, packetAt + HEADER_BYTES);
    if (paddingBytes > 0) slab.fill(0, payloadEnd, end);

    const slot = end - start === MAX_FRAME_BYTES ? fullSlots[start / MAX_FRAME_BYTES] : undefined;
    const packet = slot?.packet ?? slab.subarray(packetAt, end);
    const box = slot?.box ?? slab.subarray(start + LENGTH_BYTES, end);
    seal(box, packet, state.nonce, state.key);
    state.advance();

    const masked = (end - start - LENGTH_BYTES) ^ state.mask.nextMask();
    slab[start] = masked >>> 8;
    slab[start + 1] = masked;
    return end;
  }
}

/** Opens frames and reads the packets in them. */
export class FrameOpener implements Opener {
  readonly #state: DirectionState;
  readonly #rng: Rng;
  /** The start of a length or of a box whose rest has not come yet. */
  readonly #partial = new ByteQueue();
  /** The box length of the frame that comes next; 0 until its two bytes have come. */
  #boxBytes = 0;
  /** Set once a length was illegal: the frame is awaited like any other and only then refused. */
  #doomed = false;

  /** @param keys 72 bytes of key material, copied */
  constructor(keys: Uint8Array, rng: Rng) {
    this.#state = new DirectionState(keys);
    this.#rng = rng;
  }

  get midFrame(): boolean {
    return this.#boxBytes > 0 || this.#partial.length > 0;
  }

  open(chunk: Uint8Array): Opened {
    const out = Buffer.allocUnsafe(this.#partial.length + chunk.length);
    let outEnd = 0;
    let others: OtherContent[] | undefined;
    let failure: PosternError | undefined;
    let at = 0;
    for (;;) {
      // Next comes a length or, once that is known, the box.
      const unitBytes = this.#boxBytes > 0 ? this.#boxBytes : LENGTH_BYTES;
      const missing = unitBytes - this.#partial.length;
      if (chunk.length - at < missing) break;
      let source = chunk;
      let offset = at;
      if (this.#partial.length > 0) {
        this.#partial.push(chunk.subarray(at, at + missing));
        source = this.#partial.take();
        offset = 0;
      }
      at += missing;
      if (this.#boxBytes === 0) {
        this.#readLength((source[offset]! << 8) | source[offset + 1]!);
        continue;
      }
      this.#boxBytes = 0;
      const box = new Uint8Array(source.buffer, source.byteOffset + offset, unitBytes);
      const payloadBytes = this.#openBox(box);
      if (payloadBytes === -1) {
        failure = new PosternError('ERR_FRAME_MALFORMED', 'an obfs4 frame failed its checks');
        break;
      }
      if (packet[0] === PacketType.payload) {
        out.set(
          payloadBytes === MAX_PAYLOAD_BYTES ? fullPayload : payloadView(payloadBytes),
          outEnd,
        );
        outEnd += payloadBytes;
      } else if (packet[0] === PacketType.prngSeed && payloadBytes === PRNG_SEED_BYTES) {
        others ??= [];
        others.push({
          kind: PacketType.prngSeed,
          content: Uint8Array.from(payloadView(payloadBytes)),
        });
      }
    }
    if (failure === undefined && at < chunk.length) this.#partial.push(chunk.subarray(at));
    return { payload: out.subarray(0, outEnd), others: others ?? NO_OTHERS, failure };
  }

  #readLength(masked: number): void {
    const boxBytes = masked ^ this.#state.mask.nextMask();
    if (boxBytes >= MIN_BOX_BYTES && boxBytes <= MAX_BOX_BYTES) {
      this.#boxBytes = boxBytes;
      return;
    }
    // Against somebody who flips bits of a length: failing at once would show where a frame starts, so the
    // connection fails where some frame could have ended.
    this.#boxBytes = randomInteger(this.#rng, MIN_BOX_BYTES, MAX_BOX_BYTES);
    this.#doomed = true;
  }

  /** Opens a box into `packet` and returns the length of its payload; -1 when anything is wrong. */
  #openBox(box: Uint8Array): number {
    const packetBytes = box.length - BOX_OVERHEAD;
    const target = box.length === MAX_BOX_BYTES ? packet : packet.subarray(0, packetBytes);
    const authentic = open(target, box, this.#state.nonce, this.#state.key);
    if (!authentic || this.#doomed || packetBytes < HEADER_BYTES) return -1;
    this.#state.advance();
    const payloadBytes = (packet[1]! << 8) | packet[2]!;
    return payloadBytes <= packetBytes - HEADER_BYTES ? payloadBytes : -1;
  }
}

const NO_OTHERS: readonly OtherContent[] = [];

/** A packet of type `prngSeed` carries this much. */
export const PRNG_SEED_BYTES = 24;
/** Where packets are opened: shared by all sessions, read before the next frame is opened. */
const packet = new Uint8Array(MAX_BOX_BYTES - BOX_OVERHEAD);
const fullPayload = packet.subarray(HEADER_BYTES);

function payloadView(payloadBytes: number): Uint8Array {
  return packet.subarray(HEADER_BYTES, HEADER_BYTES + payloadBytes);
}
