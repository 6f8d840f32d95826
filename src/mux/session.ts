import { NEED_MORE } from '../bytes/decoded.ts';
import { Fifo } from '../bytes/fifo.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { MuxAction, MuxSessionOptions } from './actions.ts';
import { FrameDecoder, protocolError, type Frame } from './decode.ts';
import { encodeHeader } from './encode.ts';
import {
  FrameFlag,
  FrameType,
  type FrameHeader,
  GoAwayReason,
  HEADER_BYTES,
  INITIAL_WINDOW_BYTES,
} from './messages.ts';
import { Holdings } from './holdings.ts';
import { Schedule } from './schedule.ts';
import { MuxStreamState } from './stream-state.ts';
import { StreamNumbers } from './stream-numbers.ts';
import { Strikes } from './strikes.ts';

/**
 * One side of a yamux session over one connection. Bytes in by `push` and `step`, bytes out by `produce`.
 *
 * What is received is bounded: each stream by its window, the session by `limits.linkBudgetBytes`. When
 * half of that is held, only streams that hold nothing are given window again; at the
 * limit the stream that was last taken from the longest ago is reset. A peer that ignores a window,
 * or makes us work for nothing, loses the session.
 */
export class MuxSession<Owner = unknown> {
  readonly #isTight: () => boolean;
  readonly #decoder = new FrameDecoder();
  readonly #schedule = new Schedule<MuxStreamState<Owner>>(limits.muxFrameBytes);
  readonly #strikes: Strikes;
  readonly #streams = new Map<number, MuxStreamState<Owner>>();
  /** Streams that have a window update to send, or their first flag. */
  readonly #announcing = new Fifo<MuxStreamState<Owner>>();
  /** Frames of no stream, and resets. */
  readonly #control = new Fifo<FrameHeader>();
  readonly #holdings = new Holdings<Owner>();
  readonly #numbers: StreamNumbers;
  #unacked = 0;
  #receivedBytes = 0;
  #pings = 0;
  #isDraining = false;
  #isPeerDraining = false;
  #hasFailed = false;

  constructor({ role, now, isTight = () => false }: MuxSessionOptions) {
    this.#numbers = new StreamNumbers(role);
    this.#isTight = isTight;
    this.#strikes = new Strikes(now);
  }

  /** How many streams it has, those that have been opened and not taken included. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** Those streams, and such as have ended and of which something is held. */
  get streams(): ReadonlySet<MuxStreamState<Owner>> {
    return new Set([...this.#streams.values(), ...this.#holdings.streams]);
  }

  /** Bytes that came and have not been taken. */
  get heldBytes(): number {
    return this.#holdings.bytes;
  }

  /** Whether the peer, or we, want no new streams. */
  get isDraining(): boolean {
    return this.#isDraining || this.#isPeerDraining;
  }

  /** Whether a stream may be opened now. hashicorp/yamux refuses when 256 have not been taken. */
  get mayOpen(): boolean {
    return (
      !this.isDraining &&
      !this.#hasFailed &&
      this.#unacked < limits.muxUnackedStreams &&
      this.#streams.size < limits.linkStreams
    );
  }

  /** Whether a header has begun and not ended. */
  get isMidHeader(): boolean {
    return this.#decoder.isMidHeader;
  }

  /** Opens a stream; only where `mayOpen`. */
  open(): MuxStreamState<Owner> {
    const stream = new MuxStreamState<Owner>(this.#numbers.next(), FrameFlag.syn);
    this.#unacked += 1;
    this.#add(stream);
    return stream;
  }

  /** A stream's next bytes, lent until its `keep`; only when none wait. */
  write(stream: MuxStreamState<Owner>, chunk: Uint8Array): void {
    if (chunk.length === 0 || !this.#streams.has(stream.id)) return;
    stream.pending = chunk;
    this.#offer(stream);
  }

  /** The stream ends behind what was written. */
  end(stream: MuxStreamState<Owner>): void {
    if (stream.localEnd === 'open') stream.localEnd = 'asked';
    this.#offer(stream);
  }

  /** The reader took so many bytes. */
  consumed(stream: MuxStreamState<Owner>, bytes: number): void {
    // Of a stream that broke nothing is on the books any more.
    this.#holdings.add(stream, -Math.min(bytes, stream.heldBytes));
    stream.consumedAt = this.#receivedBytes;
    if (!this.#streams.has(stream.id)) return;
    const owed = stream.receiveWindowSize - stream.receiveWindow - stream.heldBytes;
    if (owed * 2 < stream.receiveWindowSize || stream.hasRemoteEnded) return;
    const isTight = this.#holdings.bytes * 2 > limits.linkBudgetBytes || this.#isTight();
    if (!(isTight && stream.heldBytes > 0)) this.#announce(stream);
  }

  /** The reader is gone: what it held is let go, and what has not ended in both directions is broken. */
  close(stream: MuxStreamState<Owner>): void {
    this.#holdings.add(stream, -stream.heldBytes);
    if (!this.#streams.has(stream.id)) return;
    if (!stream.isUnsent) this.#sendReset(stream.id);
    this.#forget(stream);
  }

  /** Asks whether the peer is there; 'pong' answers. */
  ping(): void {
    this.#pings += 1;
    this.#sendControl(FrameType.ping, FrameFlag.syn, this.#pings);
  }

  /** Takes no new streams. */
  drain(reason: number = GoAwayReason.normal): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#sendControl(FrameType.goAway, 0, reason);
  }

  /** Bytes from the peer; not before `step` has said `NEED_MORE` to those before. */
  push(chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    this.#decoder.push(chunk);
  }

  /** What the next frame asks for. Work is bounded by the caller, who may pause between steps. */
  step(): readonly MuxAction<Owner>[] | typeof NEED_MORE {
    if (this.#hasFailed) return NEED_MORE;
    try {
      // Answers pile up where a peer asks and reads nothing.
      if (this.#control.length > limits.muxControlFrames) throw protocolError('no answer is read');
      const frame = this.#decoder.next();
      return frame === NEED_MORE ? NEED_MORE : this.#receive(frame);
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#hasFailed = true;
      this.drain(GoAwayReason.protocolError);
      return [{ type: 'failed', error }];
    }
  }

  /** Whether there is something to be sent. */
  get hasOutput(): boolean {
    return this.#control.length > 0 || this.#announcing.length > 0 || this.#schedule.hasNext;
  }

  /**
   * Writes what is to be sent.
   *
   * @param written gets the streams whose chunk, or end, has gone out
   * @returns how many bytes were written, from `offset` on; 0 when there is nothing to say
   */
  produce(into: Buffer, offset: number, written: MuxStreamState<Owner>[]): number {
    const start = offset;
    while (this.#control.length > 0 && into.length - offset >= HEADER_BYTES) {
      offset = encodeHeader(this.#control.shift()!, into, offset);
    }
    while (this.#announcing.length > 0 && into.length - offset >= HEADER_BYTES) {
      const stream = this.#announcing.shift()!;
      if (!stream.mustAnnounce || !this.#streams.has(stream.id)) continue;
      offset = encodeHeader(this.#announcement(stream), into, offset);
      this.#offer(stream);
    }
    while (into.length - offset > HEADER_BYTES) {
      const stream = this.#schedule.next();
      if (stream === undefined) break;
      if (!this.#streams.has(stream.id)) continue;
      offset = this.#produceOf(stream, into, offset, written);
    }
    return offset - start;
  }

  #produceOf(
    stream: MuxStreamState<Owner>,
    into: Buffer,
    offset: number,
    written: MuxStreamState<Owner>[],
  ): number {
    const { pending, id } = stream;
    if (pending === undefined) {
      // An end of its own: hashicorp/yamux may lose payload that comes in the frame with the FIN.
      stream.localEnd = 'sent';
      written.push(stream);
      const end = this.#windowUpdate(id, FrameFlag.fin, 0);
      if (stream.hasEnded) this.#forget(stream);
      return encodeHeader(end, into, offset);
    }
    const length = Math.min(
      pending.length,
      stream.sendWindow,
      limits.muxFrameBytes,
      into.length - offset - HEADER_BYTES,
    );
    offset = encodeHeader({ type: FrameType.data, flags: 0, streamId: id, length }, into, offset);
    stream.takePending(length, into, offset);
    if (stream.pending === undefined) written.push(stream);
    stream.sendWindow -= length;
    this.#schedule.sent(stream, length);
    this.#offer(stream);
    return offset + length;
  }

  #receive(frame: Frame): readonly MuxAction<Owner>[] {
    switch (frame.type) {
      case FrameType.ping:
        return this.#receivePing(frame);
      case FrameType.goAway:
        this.#isPeerDraining = true;
        return [{ type: 'draining' }];
      default:
        return this.#receiveOnStream(frame);
    }
  }

  #receivePing({ flags, length }: Frame): readonly MuxAction<Owner>[] {
    if ((flags & FrameFlag.syn) === 0) return length === this.#pings ? [{ type: 'pong' }] : [];
    this.#strikes.add(PING_STRIKES);
    this.#sendControl(FrameType.ping, FrameFlag.ack, length);
    return [];
  }

  #receiveOnStream(frame: Frame): readonly MuxAction<Owner>[] {
    const actions: MuxAction<Owner>[] = [];
    if (frame.isStart && (frame.flags & FrameFlag.syn) !== 0) this.#accept(frame.streamId, actions);
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined) {
      if (!this.#numbers.hasBeen(frame.streamId))
        throw protocolError('a frame is of a stream that never was');
      // On its way when we let the stream go. Without payload there are few of those.
      if (frame.isStart && frame.length === 0) this.#strikes.add();
      return actions;
    }
    if (frame.isStart) this.#receiveHeader(stream, frame, actions);
    if (frame.body.length > 0 && !stream.hasRemoteEnded) {
      this.#holdings.add(stream, frame.body.length);
      actions.push({ type: 'deliver', stream, bytes: frame.body });
    }
    if (!frame.isEnd) return actions;
    if ((frame.flags & FrameFlag.rst) !== 0) {
      // What was opened and taken back before anybody answered costs us, and the peer next to nothing.
      if (stream.localEnd === 'open') this.#strikes.add();
      actions.push(this.#breakOff(stream, 'the far end reset the stream'));
    } else if ((frame.flags & FrameFlag.fin) !== 0 && !stream.hasRemoteEnded) {
      stream.hasRemoteEnded = true;
      actions.push({ type: 'end', stream });
      if (stream.hasEnded) this.#forget(stream);
    }
    if (this.#holdings.bytes > limits.linkBudgetBytes) actions.push(this.#resetStalest());
    return actions;
  }

  #receiveHeader(
    stream: MuxStreamState<Owner>,
    { type, flags, length }: Frame,
    actions: MuxAction<Owner>[],
  ): void {
    if ((flags & FrameFlag.ack) !== 0 && !stream.isAcked) {
      stream.isAcked = true;
      this.#unacked -= 1;
      actions.push({ type: 'acked' });
    }
    if (type === FrameType.data) {
      if (length > stream.receiveWindow || (length > 0 && stream.hasRemoteEnded)) {
        throw protocolError('a stream was sent more than its window, or more after its end');
      }
      stream.receiveWindow -= length;
      if (length === 0 && flags === 0) this.#strikes.add();
      return;
    }
    if (flags === 0 && length < USEFUL_WINDOW_BYTES) this.#strikes.add();
    // Through this window nothing will be sent any more: how far it is opened is not ours to judge.
    if (stream.localEnd === 'sent' || (flags & FrameFlag.rst) !== 0) return;
    if (stream.sendWindow + length > MAX_WINDOW_BYTES) {
      throw protocolError('a window was opened past 32 bits');
    }
    stream.sendWindow += length;
    this.#offer(stream);
  }

  #accept(id: number, actions: MuxAction<Owner>[]): void {
    this.#numbers.take(id);
    if (this.#isDraining || this.#streams.size >= limits.linkStreams) {
      this.#strikes.add();
      this.#sendReset(id);
      return;
    }
    const stream = new MuxStreamState<Owner>(id, FrameFlag.ack);
    stream.consumedAt = this.#receivedBytes;
    this.#add(stream);
    actions.push({ type: 'opened', stream });
  }

  #add(stream: MuxStreamState<Owner>): void {
    this.#streams.set(stream.id, stream);
    this.#announcing.push(stream);
  }

  /** Puts a stream in line when it has something that may be sent. */
  #offer(stream: MuxStreamState<Owner>): void {
    if (stream.isQueued || stream.firstFlag !== 0 || !this.#streams.has(stream.id)) return;
    const hasData = stream.pending !== undefined;
    if (hasData ? stream.sendWindow > 0 : stream.localEnd === 'asked') {
      this.#schedule.add(stream);
    }
  }

  #announce(stream: MuxStreamState<Owner>): void {
    if (stream.mustAnnounce) return;
    stream.mustAnnounce = true;
    this.#announcing.push(stream);
  }

  /** A window update with all that is owed, and with the stream's first flag. */
  #announcement(stream: MuxStreamState<Owner>): FrameHeader {
    const flags = stream.firstFlag;
    if (flags === 0) stream.receiveWindowSize = this.#windowFor(stream);
    const owed = Math.max(stream.receiveWindowSize - stream.receiveWindow - stream.heldBytes, 0);
    stream.receiveWindow += owed;
    stream.firstFlag = 0;
    stream.mustAnnounce = false;
    return this.#windowUpdate(stream.id, flags, owed);
  }

  /**
   * A reader that keeps up may be far away from the sender: its window grows. Streams share half of the
   * budget out evenly, for where readers are slower than the link the window is the share of it.
   */
  #windowFor({ heldBytes, receiveWindowSize: size }: MuxStreamState<Owner>): number {
    const share = Math.floor(limits.linkBudgetBytes / 2 / this.#streams.size);
    const wanted = heldBytes > 0 || this.#isTight() ? size : 2 * size;
    return Math.max(INITIAL_WINDOW_BYTES, Math.min(wanted, share, limits.linkStreamWindowBytes));
  }

  #windowUpdate(streamId: number, flags: number, length: number): FrameHeader {
    return { type: FrameType.windowUpdate, flags, streamId, length };
  }

  #sendReset(streamId: number): void {
    this.#control.push(this.#windowUpdate(streamId, FrameFlag.rst, 0));
  }

  #sendControl(type: number, flags: number, length: number): void {
    this.#control.push({ type, flags, streamId: 0, length });
  }

  #resetStalest(): MuxAction<Owner> {
    const { stalest } = this.#holdings;
    if (this.#streams.has(stalest.id)) this.#sendReset(stalest.id);
    return this.#breakOff(stalest, 'nobody took what came, and the link held too much');
  }

  #breakOff(stream: MuxStreamState<Owner>, why: string): MuxAction<Owner> {
    const error = stream.isAcked
      ? new PosternError('ERR_STREAM_TRUNCATED', why)
      : new PosternError('ERR_LINK_FAILED', 'the far end of the link refused the stream');
    this.#holdings.add(stream, -stream.heldBytes);
    this.#forget(stream);
    return { type: 'broken', stream, error };
  }

  #forget(stream: MuxStreamState<Owner>): void {
    if (!this.#streams.delete(stream.id)) return;
    if (!stream.isAcked) this.#unacked -= 1;
    stream.dropPending();
  }
}

/** A ping makes us answer: twenty a second are too many. */
const PING_STRIKES = 10;

/** A window that is opened by less is not worth a frame. */
const USEFUL_WINDOW_BYTES = 256;

const MAX_WINDOW_BYTES = 0xffff_ffff;
