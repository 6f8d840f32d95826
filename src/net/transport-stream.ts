import { addAbortListener } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { giveBack } from '../bytes/give-back.ts';
import { PosternBug, PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { countWire, totals } from '../tallies.ts';
import type { Action, Session } from '../transports/contract.ts';
import { isForLater, waitInLine } from '../turns.ts';
import { wireOf } from './break-off.ts';
import { confirmEnd } from './clean-end.ts';
import { computeInTurns } from './computations.ts';
import { runExchange } from './exchange.ts';
import { Backlog } from './backlog.ts';
import { FineTimer } from './fine-timer.ts';
import { PayloadStream } from './payload-stream.ts';
import { type LeavableReading, readLent } from './reading.ts';
import { discardUntilClosed } from './rejected.ts';
import { TurnShare } from './turn-share.ts';
import { writeAway } from './write-away.ts';

/** What the driver may be told about one connection. */
export interface TransportStreamOptions {
  /** Gives the handshake up and closes the wire; the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Servers: how long a rejected connection is read and discarded, counted from now. */
  readonly rejectAfterMs?: number;
  /** Is given what rejects the peer as long as it has not proven itself. */
  readonly onBegin?: (reject: () => void) => void;
}

/**
 * Runs a session over a connection, which it then owns.
 *
 * @param wire a connected stream, from which nothing has been read
 * @returns the application's end of the session, once the handshake is done; like our sockets it comes
 *   with an error listener
 * @throws PosternError what the session failed with, also in the chunk that ended its handshake;
 *   `ERR_HANDSHAKE_CLOSED` when the wire broke
 */
export function openTransportStream(
  wire: Duplex,
  session: Session,
  options: TransportStreamOptions = {},
): Promise<Duplex> {
  if (session.onlyHandshake !== undefined) {
    // What comes behind it needs nobody in between.
    return runExchange(wire, session.onlyHandshake, options).then(() => {
      const below = wireOf(wire);
      if (below instanceof Socket) countWire(below);
      return wire;
    });
  }
  return new Promise((resolve, reject) => {
    const stream = new TransportStream(wire, session, options.rejectAfterMs ?? 0);
    const { signal } = options;
    const abortion =
      signal &&
      addAbortListener(signal, () => {
        // Not by `destroy`: whatever the reason is, it need not be an error.
        reject(signal.reason);
        stream.destroy();
      });
    const onClose = (): void => {
      abortion?.[Symbol.dispose]();
      reject(stream.failure ?? new PosternError('ERR_HANDSHAKE_CLOSED', CLOSED_EARLY));
    };
    // It may fail before whoever awaits us gets to listen: as with our sockets, that must not end the
    // process, and the stream's users see 'close'.
    stream.on('error', () => {});
    stream.once('close', onClose);
    stream.once('established', () => {
      abortion?.[Symbol.dispose]();
      stream.off('close', onClose);
      resolve(stream);
    });
    options.onBegin?.(() => stream.reject((madeRoom ??= new PosternError(...MADE_ROOM))));
    stream.begin();
  });
}

/** One for all: in a flood of strangers each of them is told, and an error costs as much as a socket. */
let madeRoom: PosternError | undefined;
const MADE_ROOM = [
  'ERR_HANDSHAKE_TIMED_OUT',
  'it made room for another one that had just begun',
] as const;
const CLOSED_EARLY = 'the connection ended before the handshake did';

/**
 * The driver: a stream whose far side is the wire.
 *
 *     to the wire                                  when it ends
 *     open      all is in the hands of the         `end` → sendEnd
 *               system
 *     waiting   the wire or the session holds      sendEnd when the session holds nothing
 *               some, or the share of the turn
 *               is used
 *
 *     from the wire                                when the wire ends
 *     flowing   bytes go to the reader             deliverEnd → 'end'
 *     stopped   the reader holds enough: the       'end' behind what waits
 *               wire waits
 *     held      computing, or the share of the     the session hears of it
 *               turn is used: the wire waits       behind what is held
 */
export class TransportStream extends PayloadStream {
  readonly #wire: Duplex;
  readonly #reading: LeavableReading;
  readonly #session: Session;
  readonly #timer = new FineTimer();
  readonly #rejectAtMs: number;
  /** What the handshake came to nothing by. Not given to `destroy`: Node would format its stack. */
  failure: Error | undefined;
  #isEstablished = false;
  #isOver = false;
  readonly #sendShare = new TurnShare();
  /** Who waits until it may send again. */
  #onDrained: (() => void) | undefined;
  #onEndSent: (() => void) | undefined;
  readonly #receiveShare = new TurnShare();
  #isComputing = false;
  #isInLine = false;
  /** What the wire has brought and is for the next turn, or for when the computation is done. */
  #heldBytes: Buffer | undefined;
  /** Whether the wire has ended behind those. */
  #endIsHeld = false;
  /** Of what waits for the reader, while it is so much that the wire is paused. */
  #backlog: Backlog | undefined;

  constructor(wire: Duplex, session: Session, rejectAfterMs: number) {
    super(limits.streamBufferBytes);
    this.#wire = wire;
    this.#reading = readLent(wire, (bytes) => {
      totals.readBytes += bytes.length;
      this.#receive(bytes);
    });
    this.#session = session;
    this.#rejectAtMs = performance.now() + rejectAfterMs;
  }

  begin(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#wire.on(event, listener);
    this.#tell((session) => session.start());
    this.#resumeWire();
  }

  /** Lets the wire live on without us, until its time has come. */
  reject(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#letGo();
    discardUntilClosed(this.#wire, this.#rejectAtMs - performance.now(), this.#reading);
    this.#end(error);
  }

  /** What `send` was given and the system has not taken, disguised. */
  override get unsentBytes(): number {
    return this.#wire.writableLength + this.#session.queuedBytes;
  }

  readonly #listeners = {
    end: () => confirmEnd(this.#wire, () => this.#receiveEnd()),
    drain: () => this.#continueSending(),
    error: (error: Error) => this.#fail(error),
    close: () => this.#wireClosed(),
  };

  protected override transmitEnd(onSent: () => void): void {
    this.#onEndSent = onSent;
    this.#tell((session) => session.writeEnd());
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // A rejected wire lives on without us, until its time has come.
    if (!this.#isOver) this.#wire.destroy();
    this.#isOver = true;
    this.#timer.clear();
    callback(error);
  }

  protected override transmit(bytes: Uint8Array, onDrained: () => void): boolean {
    this.#sendShare.spend(bytes.length, () => this.#tell((session) => session.write(bytes)));
    if (this.#sendShare.isUsedUp) {
      this.#onDrained = onDrained;
      waitInLine(() => {
        this.#sendShare.renew();
        this.#continueSending();
      });
      return false;
    }
    if (!this.#isSending) return true;
    this.#onDrained = onDrained;
    return false;
  }

  /** Whether something waits to be sent: what the system took at once does not. */
  get #isSending(): boolean {
    const wire = this.#wire;
    return (wire.writableNeedDrain && wire.writableLength > 0) || this.#session.queuedBytes > 0;
  }

  #continueSending(): void {
    if (this.#onDrained === undefined || this.#sendShare.isUsedUp || this.#isSending) return;
    const onDrained = this.#onDrained;
    this.#onDrained = undefined;
    onDrained();
  }

  /** Works off what the wire has brought, as much of it as one turn allows. */
  #receive(chunk: Buffer): void {
    let at = 0;
    while (!this.#isComputing && !this.#receiveShare.isUsedUp && !isForLater(chunk.length - at)) {
      if (this.#isOver || at === chunk.length) return;
      const slice = chunk.subarray(at, at + this.#receiveShare.sliceBytes);
      at += slice.length;
      this.#receiveShare.spend(slice.length, () => this.#tell((session) => session.receive(slice)));
    }
    if (this.#isOver) return;
    this.#reading.pause();
    if (at < chunk.length) this.#heldBytes = Buffer.from(chunk.subarray(at));
    if (this.#isComputing) return;
    this.#isInLine = true;
    waitInLine(() => this.#receiveHeld());
  }

  #receiveHeld(): void {
    if (this.#isOver) return;
    const held = this.#heldBytes;
    this.#heldBytes = undefined;
    this.#isInLine = false;
    this.#receiveShare.renew();
    if (held !== undefined) this.#receive(held);
    if (this.#endIsHeld) this.#receiveEnd();
    this.#resumeWire();
  }

  /** A wire that is paused in its last bytes tells of its end all the same. */
  #receiveEnd(): void {
    this.#endIsHeld = this.#isHeld;
    if (!this.#endIsHeld) this.#tell((session) => session.receiveEnd());
  }

  /** Whether what comes has to wait, for reasons of ours. */
  get #isHeld(): boolean {
    return this.#isComputing || this.#isInLine;
  }

  /** Computes what the session needs before it can take anything more from the wire. */
  #compute(step: () => readonly Action[] | undefined): void {
    this.#isComputing = true;
    this.#reading.pause();
    computeInTurns(() => {
      let isDone = false;
      this.#tell(() => {
        const actions = step();
        if (actions === undefined) return [];
        isDone = true;
        this.#isComputing = false;
        return actions;
      });
      if (!isDone && !this.#isOver) return false;
      // Unless what it came to is the next computation.
      if (!this.#isComputing) this.#receiveHeld();
      return true;
    });
  }

  /** Reads on, unless what has come already waits. */
  #resumeWire(): void {
    if (!this.#isOver && !this.#isHeld && !this.#isFull) this.#reading.resume();
  }

  get #isFull(): boolean {
    return this.waitingBytes >= limits.streamBufferBytes;
  }

  protected override taken(): void {
    this.#backlog?.set(this.waitingBytes);
    this.#resumeWire();
  }

  protected override deliver(bytes: Uint8Array): boolean {
    const isDone = super.deliver(bytes);
    if (!this.#isFull) return isDone;
    this.#reading.pause();
    this.#backlog ??= new Backlog(this);
    this.#backlog.set(this.waitingBytes);
    return isDone;
  }

  /** Tells the session of an event and does what it asks for. */
  #tell(event: (session: Session) => readonly Action[]): void {
    if (this.#isOver) return;
    const wasEstablished = this.#isEstablished;
    try {
      this.#perform(event(this.#session));
    } catch (error) {
      // A defect of a transport costs this connection and no other.
      this.#fail(new PosternBug('the transport’s session threw', { cause: error }));
    }
    // Not before all that came together is seen to: a stream that has failed already is of no use.
    if (this.#isEstablished && !wasEstablished && !this.destroyed) this.emit('established');
  }

  #perform(actions: readonly Action[]): void {
    for (const action of actions) {
      if (this.#isOver) return;
      switch (action.type) {
        case 'send':
          totals.writtenBytes += action.bytes.length;
          writeAway(this.#wire, action.bytes);
          break;
        case 'deliver':
          if (this.deliver(action.bytes)) giveBack(action.bytes);
          break;
        case 'deliverEnd':
          this.deliverEnd();
          break;
        case 'sendEnd':
          this.#wire.end();
          this.#onEndSent?.();
          break;
        case 'established':
          this.#isEstablished = true;
          break;
        case 'compute':
          this.#compute(action.step);
          break;
        case 'setTimer':
          this.#timer.set(action.delayMs, () => {
            this.#tell((session) => session.timerFired());
            this.#continueSending();
          });
          break;
        case 'clearTimer':
          this.#timer.clear();
          break;
        case 'failed':
          this.#fail(action.error);
          break;
        case 'rejected':
          this.reject(action.error);
          break;
      }
    }
  }

  #fail(error: Error): void {
    this.#end(
      this.#isEstablished || error instanceof PosternError || error instanceof PosternBug
        ? error
        : new PosternError('ERR_HANDSHAKE_CLOSED', CLOSED_EARLY, { cause: error }),
    );
  }

  /** As cheaply as it gets where the peer has not proven itself: anybody can have us do it. */
  #end(error: Error): void {
    this.failure ??= error;
    this.destroy(this.#isEstablished ? error : undefined);
  }

  /** The wire goes on without us, and would else hold on to the session with all that it has. */
  #letGo(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) {
      this.#wire.off(event, listener);
    }
  }

  #wireClosed(): void {
    const natural = this.#wire.readableEnded && this.#wire.writableFinished;
    if (!natural) this.destroy();
  }
}
