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
 * whole data path.
 */
const SLAB_FRAMES = 48;
const slab = Buffer.alloc(SLAB_FRAMES * MAX_FRAME_BYTES);
const fullSlots = Array.from({ length: SLAB_FRAMES }, (_, index) => {
  const start = index * MAX_FRAME_BYTES;
  return {
    packet: slab.subarray(start + LENGTH_BYTES + BOX_OVERHEAD, start + MAX_FRAME_BYTES),
    box: slab.subarray(start + LENGTH_BYTES, start + MAX_FRAME_BYTES),
  };
});

/** Seals packets into frames, in order. */
export class FrameSealer {
  readonly #state: DirectionState;

  /** @param keys 72 bytes of key material, copied */
  constructor(keys: Uint8Array) {
    this.#state = new DirectionState(keys);
  }

  /** All of `payload` in as few frames as it needs; an owned buffer. */
  sealPayload(payload: Uint8Array): Buffer {
    const parts: Buffer[] = [];
    let at = 0;
    while (at < payload.length) {
      let used = 0;
      while (at < payload.length && used + MAX_FRAME_BYTES <= slab.length) {
        const end = Math.min(at + MAX_PAYLOAD_BYTES, payload.length);
        used = this.#seal(used, PacketType.payload, payload, at, end, 0);
        at = end;
      }
      parts.push(Buffer.from(slab.subarray(0, used)));
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** One frame of a packet of any type, with zero padding behind its payload; an owned buffer. */
  sealPacket(type: number, payload: Uint8Array, paddingBytes: number): Buffer {
    return Buffer.from(
      slab.subarray(0, this.#seal(0, type, payload, 0, payload.length, paddingBytes)),
    );
  }

  /** Seals one packet at `start` of the slab and returns the frame's end. */
  #seal(
    start: number,
    type: number,
    source: Uint8Array,
    from: number,
    to: number,
    paddingBytes: number,
  ): number {
    const state = this.#state;
    const payloadBytes = to - from;
    const packetAt = start + LENGTH_BYTES + BOX_OVERHEAD;
    const end = packetAt + HEADER_BYTES + payloadBytes + paddingBytes;
    slab[packetAt] = type;
    slab[packetAt + 1] = payloadBytes >>> 8;
    slab[packetAt + 2] = payloadBytes;
    slab.set(
      payloadBytes === source.length ? source : source.subarray(from, to),
      packetAt + HEADER_BYTES,
    );
    if (paddingBytes > 0) slab.fill(0, end - paddingBytes, end);

    const slot =
      end - start === MAX_FRAME_BYTES ? fullSlots[start / MAX_FRAME_BYTES] : undefined;
    if (slot !== undefined) seal(slot.box, slot.packet, state.nonce, state.key);
    else {
      const packet = slab.subarray(packetAt, end);
      seal(slab.subarray(start + LENGTH_BYTES, end), packet, state.nonce, state.key);
    }
    state.advance();

    const masked = (end - start - LENGTH_BYTES) ^ state.mask.nextMask();
    slab[start] = masked >>> 8;
    slab[start + 1] = masked;
    return end;
  }
}

/** What came out of one chunk. */
export interface Opened {
  /** The payload of all packets, back to back; owned by the caller. */
  readonly payload: Uint8Array;
  /** The last PRNG seed of 24 bytes that a packet carried, if any; owned. */
  readonly prngSeed: Uint8Array | undefined;
  /** Why nothing can be opened after this payload: `ERR_FRAME_MALFORMED`. */
  readonly failure: PosternError | undefined;
}

/** Opens frames and reads the packets in them. */
export class FrameOpener {
  readonly #state: DirectionState;
  readonly #rng: Rng;
  /** The start of a frame whose rest has not come yet: less than one frame. */
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

  /** Whether a frame has begun and not ended. */
  get midFrame(): boolean {
    return this.#boxBytes > 0 || this.#partial.length > 0;
  }

  /**
   * Opens every frame that is complete with this chunk.
   *
   * @param chunk borrowed for the call
   */
  open(chunk: Uint8Array): Opened {
    let input = chunk;
    if (this.#partial.length > 0) {
      this.#partial.push(chunk);
      input = this.#partial.take();
    }
    const out = Buffer.allocUnsafe(input.length);
    let outEnd = 0;
    let prngSeed: Uint8Array | undefined;
    let at = 0;
    for (;;) {
      if (this.#boxBytes === 0) {
        if (input.length - at < LENGTH_BYTES) break;
        this.#readLength((input[at]! << 8) | input[at + 1]!);
        at += LENGTH_BYTES;
      }
      if (input.length - at < this.#boxBytes) break;
      const packetBytes = this.#openBox(input.subarray(at, at + this.#boxBytes));
      at += this.#boxBytes;
      this.#boxBytes = 0;

      const payloadBytes = (packet[1]! << 8) | packet[2]!;
      if (packetBytes < HEADER_BYTES || payloadBytes > packetBytes - HEADER_BYTES) {
        return { payload: out.subarray(0, outEnd), prngSeed, failure: malformed() };
      }
      if (packet[0] === PacketType.payload) {
        const full = payloadBytes === MAX_PAYLOAD_BYTES;
        out.set(full ? fullPayload : packet.subarray(HEADER_BYTES, HEADER_BYTES + payloadBytes), outEnd);
        outEnd += payloadBytes;
      } else if (packet[0] === PacketType.prngSeed && payloadBytes === PRNG_SEED_BYTES) {
        prngSeed = Uint8Array.from(packet.subarray(HEADER_BYTES, HEADER_BYTES + PRNG_SEED_BYTES));
      }
    }
    if (at < input.length) this.#partial.push(input.subarray(at));
    return { payload: out.subarray(0, outEnd), prngSeed, failure: undefined };
  }

  #readLength(masked: number): void {
    const boxBytes = masked ^ this.#state.mask.nextMask();
    if (boxBytes >= MIN_BOX_BYTES && boxBytes <= MAX_BOX_BYTES) {
      this.#boxBytes = boxBytes;
      return;
    }
    // Against someone who flips bits of the length: to fail at once would tell him where a frame
    // starts, so the connection fails where some frame could have ended.
    this.#boxBytes = randomInteger(this.#rng, MIN_BOX_BYTES, MAX_BOX_BYTES);
    this.#doomed = true;
  }

  /** Opens a box into `packet` and returns the packet's length; -1 when it is not authentic. */
  #openBox(box: Uint8Array): number {
    const packetBytes = box.length - BOX_OVERHEAD;
    const target = box.length === MAX_BOX_BYTES ? packet : packet.subarray(0, packetBytes);
    const authentic = open(target, box, this.#state.nonce, this.#state.key);
    if (!authentic || this.#doomed) return -1;
    this.#state.advance();
    return packetBytes;
  }
}

/** A packet of type `prngSeed` carries this much. */
export const PRNG_SEED_BYTES = 24;
/** Where packets are opened: shared by all sessions, read before the next frame is opened. */
const packet = Buffer.alloc(MAX_BOX_BYTES - BOX_OVERHEAD);
const fullPayload = packet.subarray(HEADER_BYTES);

function malformed(): PosternError {
  return new PosternError('ERR_FRAME_MALFORMED', 'an obfs4 frame failed its checks');
}
