import { NEED_MORE } from '../bytes/decoded.ts';
import { PosternError } from '../errors.ts';
import { FrameType, HEADER_BYTES, type FrameHeader } from './messages.ts';

/** A frame, or as much of a data frame as has come. */
export interface Frame extends FrameHeader {
  /** Data frames: the next part of the payload, borrowed from the chunk it came in. */
  readonly body: Buffer;
  /** Whether this is the frame's first part; the header counts once. */
  readonly isStart: boolean;
  /** Whether nothing of the frame is missing any more. */
  readonly isEnd: boolean;
}

/**
 * Takes frames out of a byte stream. Payload is handed on as it comes and never gathered: of what a
 * peer announces nothing is kept but a header that is not whole yet.
 */
export class FrameDecoder {
  #chunk: Buffer = EMPTY;
  #offset = 0;
  readonly #header = Buffer.allocUnsafeSlow(HEADER_BYTES);
  #headerBytes = 0;
  #isFirst = true;
  #body: FrameHeader | undefined;
  #bodyLeft = 0;

  /** Whether a header has begun and not ended. */
  get isMidHeader(): boolean {
    return this.#headerBytes > 0;
  }

  /** More bytes, borrowed until `next` has said `NEED_MORE`; not to be called before. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /**
   * The next frame or part of one.
   *
   * @throws PosternError `ERR_MUX_PROTOCOL` for a version or type that is none; `ERR_MUX_OLD_PEER`
   */
  next(): Frame | typeof NEED_MORE {
    if (this.#body !== undefined) return this.#nextOfBody(this.#body, false);
    const header = this.#nextHeader();
    if (header === NEED_MORE) return NEED_MORE;
    if (header.type !== FrameType.data || header.length === 0) {
      return { ...header, body: EMPTY, isStart: true, isEnd: true };
    }
    this.#bodyLeft = header.length;
    this.#body = header;
    return this.#nextOfBody(header, true);
  }

  #nextOfBody(header: FrameHeader, isStart: boolean): Frame | typeof NEED_MORE {
    const end = Math.min(this.#offset + this.#bodyLeft, this.#chunk.length);
    if (end === this.#offset && !isStart) return this.#needMore();
    const body = this.#chunk.subarray(this.#offset, end);
    this.#offset = end;
    this.#bodyLeft -= body.length;
    const isEnd = this.#bodyLeft === 0;
    if (isEnd) this.#body = undefined;
    const { type, flags, streamId, length } = header;
    return { type, flags, streamId, length, body, isStart, isEnd };
  }

  #nextHeader(): FrameHeader | typeof NEED_MORE {
    const missing = HEADER_BYTES - this.#headerBytes;
    const available = this.#chunk.length - this.#offset;
    let bytes: Buffer = this.#header;
    let at = 0;
    if (this.#headerBytes === 0 && available >= HEADER_BYTES) {
      bytes = this.#chunk;
      at = this.#offset;
    } else {
      this.#chunk.copy(this.#header, this.#headerBytes, this.#offset, this.#offset + missing);
    }
    const count = Math.min(missing, available);
    this.#offset += count;
    this.#headerBytes += count;
    this.#checkStart(bytes, at);
    if (this.#headerBytes < HEADER_BYTES) return this.#needMore();
    this.#headerBytes = 0;
    this.#isFirst = false;
    const type = bytes[at + 1]!;
    if (type > FrameType.goAway) throw protocolError('a frame has a type that is none');
    return {
      type,
      flags: (bytes[at + 2]! << 8) | bytes[at + 3]!,
      streamId: bytes.readUInt32BE(at + 4),
      length: bytes.readUInt32BE(at + 8),
    };
  }

  /** As soon as a byte says that this is no yamux: whoever speaks something else may say no more. */
  #checkStart(bytes: Buffer, at: number): void {
    if (this.#headerBytes === 0 || bytes[at] === 0) return;
    if (!this.#isFirst || bytes[at] !== PREFACE[0]) {
      throw protocolError('a frame has a version other than 0');
    }
    const known = Math.min(this.#headerBytes, PREFACE.length);
    if (!bytes.subarray(at, at + known).equals(PREFACE.subarray(0, known))) {
      throw protocolError('a frame has a version other than 0');
    }
    if (known === PREFACE.length) {
      throw new PosternError('ERR_MUX_OLD_PEER', 'the link begins as those of Postern 0.1 do');
    }
  }

  #needMore(): typeof NEED_MORE {
    this.#chunk = EMPTY;
    this.#offset = 0;
    return NEED_MORE;
  }
}

/** The far end broke the rules of the multiplexer. */
export function protocolError(what: string): PosternError {
  return new PosternError('ERR_MUX_PROTOCOL', what);
}

const EMPTY = Buffer.alloc(0);

/** How a client begins HTTP/2 (RFC 9113, section 3.4), which links were before. */
const PREFACE = Buffer.from('PRI ');
