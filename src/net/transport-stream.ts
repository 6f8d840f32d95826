import { addAbortListener } from 'node:events';
import { Duplex } from 'node:stream';
import { tightly } from '../bytes/tightly.ts';
import { PosternBug, PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Action, Session, SessionFactory } from '../transports/contract.ts';
import { abortable } from './abortable.ts';
import { confirmEnd } from './clean-end.ts';
import type { Dialer } from './dialer.ts';
import { computeInTurns } from './computations.ts';
import { Backlog } from './backlog.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import { FineTimer } from './fine-timer.ts';
import { discardUntilClosed } from './rejected.ts';
import { watchSilence } from './silence.ts';
import { TurnShare } from './turn-share.ts';

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
    options.onBegin?.(() => stream.reject(new PosternError('ERR_HANDSHAKE_TIMED_OUT', MADE_ROOM)));
    stream.begin();
  });
}

/**
 * A dialer that reaches its targets through a transport, whose other end decides what they mean.
 *
 * @param onSilence hears what it can mean that the other end says nothing
 */
export function throughTransport(
  dial: Dialer,
  createSession: SessionFactory,
  onSilence: (text: string) => void = () => {},
): Dialer {
  return async (target, options = {}) => {
    if (createSession.ready !== undefined) await abortable(createSession.ready, options.signal);
    // The session first: a transport makes its ephemeral keys before the clock of the wire runs.
    const session = createSession(target);
    const wire = await dial(target, options);
    return watchSilence(openTransportStream(wire, session, options), onSilence);
  };
}

const MADE_ROOM = 'it made room for another one that had just begun';
const CLOSED_EARLY = 'the connection ended before the handshake did';

/** The driver: a Duplex whose far side is the wire. */
class TransportStream extends Duplex {
  readonly #wire: Duplex;
  readonly #session: Session;
  readonly #timer = new FineTimer();
  readonly #rejectAtMs: number;
  /** What the handshake came to nothing by. Not given to `destroy`: Node would format its stack. */
  failure: Error | undefined;
  #established = false;
  #over = false;
  /** The callback of a write that waits for the session or the wire to drain. */
  #waitingWrite: (() => void) | undefined;
  #waitingFinal: (() => void) | undefined;
  readonly #share = new TurnShare();
  #isComputing = false;
  /** What the wire has brought and is for the next turn, or for when the computation is done. */
  #heldBytes: Buffer | undefined;
  /** Whether the wire has ended behind those. */
  #endIsHeld = false;
  #nextTurn: NodeJS.Immediate | undefined;
  /** What the session has delivered behind what the reader has not taken yet. */
  #undelivered: DeliveryQueue | undefined;
  /** Of what waits for the reader, while it is so much that the wire is paused. */
  #backlog: Backlog | undefined;
  /** Whether the end comes behind what waits in `#undelivered`. */
  #endWaits = false;

  constructor(wire: Duplex, session: Session, rejectAfterMs: number) {
    super({
      allowHalfOpen: true,
      writableHighWaterMark: limits.streamBufferBytes,
      // What waits for the reader waits in a queue that bounds its memory; Node counts bytes only.
      readableHighWaterMark: 1,
    });
    this.#wire = wire;
    this.#session = session;
    this.#rejectAtMs = performance.now() + rejectAfterMs;
  }

  begin(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#wire.on(event, listener);
    this.#wire.resume();
    this.#tell((session) => session.start());
  }

  /** Lets the wire live on without us, until its time has come. */
  reject(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#letGo();
    discardUntilClosed(this.#wire, this.#rejectAtMs - performance.now());
    this.#end(error);
  }

  readonly #listeners = {
    data: (chunk: Buffer) => this.#receive(chunk),
    end: () => confirmEnd(this.#wire, () => this.#receiveEnd()),
    drain: () => this.#continueWriting(),
    error: (error: Error) => this.#fail(error),
    close: () => this.#wireClosed(),
  };

  /** The reader has taken all that it was given. */
  override _read(): void {
    const bytes = this.#undelivered?.shift();
    if (bytes !== undefined) {
      if (this.#undelivered!.length === 0) this.#undelivered = undefined;
      this.#backlog?.set(this.#undelivered?.length ?? 0);
      this.push(bytes);
      if (this.#endWaits && this.#undelivered === undefined) this.push(null);
    }
    this.#resumeWire();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#waitingWrite = callback;
    this.#tell((session) => session.write(chunk));
    this.#continueWriting();
  }

  override _final(callback: () => void): void {
    this.#waitingFinal = callback;
    this.#tell((session) => session.writeEnd());
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // A rejected wire lives on without us, until its time has come.
    if (!this.#over) this.#wire.destroy();
    this.#over = true;
    this.#timer.clear();
    clearImmediate(this.#nextTurn);
    callback(error);
  }

  /** Works off what the wire has brought, as much of it as one turn allows. */
  #receive(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#over) {
      if (this.#isComputing || this.#share.isUsedUp) {
        this.#heldBytes = chunk.subarray(at);
        this.#wire.pause();
        if (!this.#isComputing) this.#nextTurn = setImmediate(() => this.#receiveHeld());
        return;
      }
      const slice = chunk.subarray(at, at + this.#share.sliceBytes);
      at += slice.length;
      this.#share.spend(slice.length, () => this.#tell((session) => session.receive(slice)));
    }
  }

  #receiveHeld(): void {
    const held = this.#heldBytes;
    this.#heldBytes = undefined;
    this.#share.renew();
    if (held !== undefined) this.#receive(held);
    if (this.#endIsHeld) this.#receiveEnd();
    this.#resumeWire();
  }

  /** A wire that is paused in its last bytes tells of its end all the same. */
  #receiveEnd(): void {
    this.#endIsHeld = this.#isComputing || this.#heldBytes !== undefined;
    if (!this.#endIsHeld) this.#tell((session) => session.receiveEnd());
  }

  /** Computes what the session needs before it can take anything more from the wire. */
  #compute(step: () => readonly Action[] | undefined): void {
    this.#isComputing = true;
    this.#wire.pause();
    computeInTurns(() => {
      let isDone = false;
      this.#tell(() => {
        const actions = step();
        if (actions === undefined) return [];
        isDone = true;
        this.#isComputing = false;
        return actions;
      });
      if (!isDone && !this.#over) return false;
      // Unless what it came to is the next computation.
      if (!this.#isComputing) this.#receiveHeld();
      return true;
    });
  }

  /** Reads on, unless what has come already waits. */
  #resumeWire(): void {
    const isHeld = this.#isComputing || this.#heldBytes !== undefined;
    if (!this.#over && !isHeld && !this.#isFull) this.#wire.resume();
  }

  get #isFull(): boolean {
    return this.#waitingBytes >= limits.streamBufferBytes;
  }

  get #waitingBytes(): number {
    return this.readableLength + (this.#undelivered?.length ?? 0);
  }

  #deliver(bytes: Uint8Array): void {
    // What a reader that keeps up takes at once, or the first that one finds who comes later.
    if (this.readableLength === 0 && this.#undelivered === undefined) {
      this.push(tightly(bytes));
      return;
    }
    this.#undelivered ??= new DeliveryQueue();
    this.#undelivered.push(bytes);
    if (!this.#isFull) return;
    this.#wire.pause();
    this.#backlog ??= new Backlog(this);
    this.#backlog.set(this.#waitingBytes);
  }

  /** Tells the session of an event and does what it asks for. */
  #tell(event: (session: Session) => readonly Action[]): void {
    if (this.#over) return;
    const wasEstablished = this.#established;
    try {
      this.#perform(event(this.#session));
    } catch (error) {
      // A defect of a transport costs this connection and no other.
      this.#fail(new PosternBug('the transport’s session threw', { cause: error }));
    }
    // Not before all that came together is seen to: a stream that has failed already is of no use.
    if (this.#established && !wasEstablished && !this.destroyed) this.emit('established');
  }

  #perform(actions: readonly Action[]): void {
    for (const action of actions) {
      if (this.#over) return;
      switch (action.type) {
        case 'send':
          this.#wire.write(action.bytes);
          break;
        case 'deliver':
          this.#deliver(action.bytes);
          break;
        case 'deliverEnd':
          if (this.#undelivered === undefined) this.push(null);
          else this.#endWaits = true;
          break;
        case 'sendEnd':
          this.#wire.end();
          this.#waitingFinal?.();
          break;
        case 'established':
          this.#established = true;
          break;
        case 'compute':
          this.#compute(action.step);
          break;
        case 'setTimer':
          this.#timer.set(action.delayMs, () => {
            this.#tell((session) => session.timerFired());
            this.#continueWriting();
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

  /** Lets the application write on once the session holds nothing and the wire not much. */
  #continueWriting(): void {
    if (this.#wire.writableNeedDrain || this.#session.queuedBytes > 0) return;
    const callback = this.#waitingWrite;
    this.#waitingWrite = undefined;
    callback?.();
  }

  #fail(error: Error): void {
    this.#end(
      this.#established || error instanceof PosternError || error instanceof PosternBug
        ? error
        : new PosternError('ERR_HANDSHAKE_CLOSED', CLOSED_EARLY, { cause: error }),
    );
  }

  /** As cheaply as it gets where the peer has not proven itself: anybody can have us do it. */
  #end(error: Error): void {
    this.failure ??= error;
    this.destroy(this.#established ? error : undefined);
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
