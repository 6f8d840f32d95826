/** yamux frames by hand, and sessions without a connection. */
import { Duplex } from 'node:stream';
import { NEED_MORE } from '../../src/bytes/decoded.ts';
import { encodeHeader } from '../../src/mux/encode.ts';
import { HEADER_BYTES } from '../../src/mux/messages.ts';
import { MuxSession } from '../../src/mux/session.ts';
import type { MuxAction } from '../../src/mux/actions.ts';
import type { MuxStreamState } from '../../src/mux/stream-state.ts';

/** A frame; a data frame's length is that of its body unless another one is given. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  { length, body = '' }: { readonly length?: number; readonly body?: string | Buffer } = {},
): Buffer {
  const payload = Buffer.from(body as string);
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  encodeHeader({ type, flags, streamId, length: length ?? payload.length }, bytes, 0);
  payload.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** Frames that were produced, as `type flags id length` and their bodies. */
export function framesOf(bytes: Buffer): { readonly head: string; readonly body: string }[] {
  const frames = [];
  for (let at = 0; at < bytes.length;) {
    const type = bytes[at + 1]!;
    const length = bytes.readUInt32BE(at + 8);
    const end = at + HEADER_BYTES + (type === 0 ? length : 0);
    frames.push({
      head: `${type} ${bytes.readUInt16BE(at + 2)} ${bytes.readUInt32BE(at + 4)} ${length}`,
      body: bytes.toString('latin1', at + HEADER_BYTES, end),
    });
    at = end;
  }
  return frames;
}

/** A session, what its peer makes of it, and a clock that stands. */
export class SessionUnderTest {
  readonly session: MuxSession;
  nowMs = 0;
  readonly #burst = Buffer.alloc(70_000);
  isTight = false;

  constructor(role: 'client' | 'server') {
    this.session = new MuxSession({
      role,
      now: () => this.nowMs,
      isTight: () => this.isTight,
    });
  }

  /** Hands bytes in, which are overwritten afterwards. @returns what is asked for, bodies as text */
  feed(...chunks: readonly Buffer[]): MuxAction[] {
    const actions: MuxAction[] = [];
    for (const chunk of chunks) {
      const lent = Buffer.from(chunk);
      this.session.push(lent);
      for (let step = this.session.step(); step !== NEED_MORE; step = this.session.step()) {
        for (const action of step) {
          actions.push(
            action.type === 'deliver' ? { ...action, bytes: Buffer.from(action.bytes) } : action,
          );
        }
      }
      lent.fill(0xaa);
    }
    return actions;
  }

  /** What is sent, in bursts of a size until there is nothing more. */
  sent(burstBytes: number = this.#burst.length): {
    readonly frames: string[];
    readonly written: number[];
  } {
    const bursts: Buffer[] = [];
    const written: MuxStreamState[] = [];
    for (;;) {
      const burst = this.#burst.subarray(0, burstBytes);
      const length = this.session.produce(burst, 0, written);
      if (length === 0) break;
      bursts.push(Buffer.from(burst.subarray(0, length)));
    }
    return {
      frames: framesOf(Buffer.concat(bursts)).map(({ head }) => head),
      written: written.map(({ id }) => id),
    };
  }

  /** A stream that the peer has opened, its ACK sent. */
  accept(id: number): MuxStreamState {
    const [action] = this.feed(frame(1, 1, id));
    if (action?.type !== 'opened') throw new Error('not opened');
    this.sent();
    return action.stream;
  }
}

/** Two ends of a wire in memory. Like a socket it is done with what was written when it calls back. */
export function wirePair(highWaterMark = 65_536): [Duplex, Duplex] {
  const ends = [0, 1].map((side) => {
    let onRead: (() => void) | undefined;
    const other = (): Duplex => ends[1 - side]!.duplex;
    const duplex: Duplex = new Duplex({
      highWaterMark,
      read() {
        const callback = onRead;
        onRead = undefined;
        callback?.();
      },
      write(chunk: Buffer, _encoding, callback) {
        if (other().push(Buffer.from(chunk))) process.nextTick(callback);
        else ends[1 - side]!.waitForRead(callback);
      },
      final(callback) {
        other().push(null);
        callback();
      },
      destroy(error, callback) {
        if (!other().destroyed && !duplex.writableFinished) other().destroy();
        callback(error);
      },
    });
    return { duplex, waitForRead: (callback: () => void) => (onRead = callback) };
  });
  return [ends[0]!.duplex, ends[1]!.duplex];
}
