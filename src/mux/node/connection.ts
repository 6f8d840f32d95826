import type { Duplex } from 'node:stream';
import { NEED_MORE } from '../../bytes/decoded.ts';
import type { BudgetMember, ByteBudget } from '../../bytes/budget.ts';
import { Fifo } from '../../bytes/fifo.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { PayloadStream } from '../../net/payload-stream.ts';
import { type Reading, readOwned } from '../../net/reading.ts';
import { systemTimers, type Timers } from '../../time.ts';
import { isForLater, waitInLine, workInTurn } from '../../turns.ts';
import type { MuxAction } from '../actions.ts';
import { MuxSession } from '../session.ts';
import type { MuxStreamState } from '../stream-state.ts';
import { Openers } from './openers.ts';
import { Sender } from './sender.ts';
import { MuxStream, type StreamPort } from './stream.ts';

/** What is asked about a link's bytes on their way. */
export interface Meter {
  /** So many bytes have passed. @returns how long the next ones have to wait, in milliseconds */
  readonly onRead: (bytes: number) => number;
  readonly onWrite: (bytes: number) => number;
}

/** What a connection with many streams is given. */
export interface MuxConnectionOptions {
  /** Who opened the connection is the client. */
  readonly role: 'client' | 'server';
  /** What the whole process may hold for readers that do not read. */
  readonly budget: ByteBudget;
  /** Counts and limits what passes; absent where another connection does so that carries this one. */
  readonly meter?: Meter;
  readonly timers?: Timers;
  /** Gets each stream that the peer opens; without it they are refused. Must not throw. */
  readonly onStream?: (stream: Duplex) => void;
  /** Called once when the peer takes no new streams any more. */
  readonly onDraining?: () => void;
}

/**
 * A connection that carries many streams, each a plain Duplex with half-close and back-pressure in both
 * directions. It owns the connection, which must be done with what is written when it calls back, and
 * is silent while nobody uses it.
 */
export class MuxConnection implements BudgetMember {
  /** Settles, and never rejects, when the connection has ended: with what ended it, if anything did. */
  readonly closed: Promise<Error | undefined>;
  readonly #inner: Duplex;
  readonly #reading: Reading;
  readonly #session: MuxSession<MuxStream>;
  readonly #sender: Sender;
  readonly #options: MuxConnectionOptions;
  readonly #openers = new Openers<MuxStream>();
  /** Who waits for the answer to a ping. */
  readonly #pings = new Fifo<() => void>();
  readonly #timers: Timers;
  /** What cancels the waits that are under way. */
  readonly #waits = new Set<() => void>();
  #cancelHeader: (() => void) | undefined;
  /** Whether a chunk is being worked off. */
  #isWorking = false;
  /** Whether somebody still needs a part of it. */
  #isChunkInUse = false;
  /** Whether the connection has ended behind it. */
  #endWaits = false;
  #receivedBytes = 0;
  #heldBytes = 0;
  #isOver = false;
  #settleClosed: (error: Error | undefined) => void = () => {};
  /** What the streams ask for. */
  readonly #port: StreamPort = {
    write: (state, chunk) => {
      this.#session.write(state, chunk);
      this.#sender.pump();
      return !state.keep();
    },
    end: (state) => {
      this.#session.end(state);
      this.#sender.pump();
    },
    consumed: (state, bytes) => {
      this.#session.consumed(state, bytes);
      this.#account();
      this.#sender.pump();
    },
    closed: (state) => {
      this.#session.close(state);
      this.#account();
      this.#sender.pump();
      this.#admitOpeners();
      this.#endIfDrained();
    },
  };

  constructor(inner: Duplex, options: MuxConnectionOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#session = new MuxSession({
      role: options.role,
      now: () => performance.now(),
      isTight: () => options.budget.isTight,
    });
    this.#sender = new Sender(inner, {
      session: this.#session,
      onWrite: (bytes) => options.meter?.onWrite(bytes) ?? 0,
      after: (delayMs, callback) => this.#after(delayMs, callback),
    });
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    const onBytes = (bytes: Uint8Array): boolean => this.#receive(bytes as Buffer);
    this.#reading =
      inner instanceof PayloadStream ? inner.readInto(onBytes) : readOwned(inner, onBytes);
    inner.on('end', () => {
      if (this.#isWorking) this.#endWaits = true;
      else this.#finish();
    });
    inner.on('error', (error) => this.#finish(error));
    inner.on('close', () => this.#finish());
    this.#reading.resume();
    if (inner.destroyed) this.#finish(inner.errored ?? undefined);
  }

  /** How many streams are on it, those that wait to be opened included. */
  get streamCount(): number {
    return this.#session.streamCount + this.#openers.length;
  }

  /** Whether streams can begin: it has not ended, and neither end shuts down. */
  get isOpen(): boolean {
    return !this.#isOver && !this.#session.isDraining;
  }

  /** How many bytes have come in. It does not grow while the peer is silent. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /**
   * Opens a stream. Whether the peer takes it shows later: it may break before anything comes.
   *
   * @throws PosternError `ERR_LINK_FAILED`; the reason of `signal`
   */
  async open({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Duplex> {
    signal?.throwIfAborted();
    if (!this.isOpen) throw gone();
    if (this.#openers.length > 0 || !this.#session.mayOpen) return this.#openers.wait(signal);
    return this.#open();
  }

  /** Asks whether the peer is there. Resolves when it answers, and not at all when it does not. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#pings.push(resolve);
      this.#session.ping();
      this.#sender.pump();
    });
  }

  /** Takes no new streams; it ends with the last one that it has. */
  drain(): void {
    this.#session.drain();
    this.#sender.pump();
    this.#openers.refuse(gone());
    this.#endIfDrained();
  }

  /** Ends it and all of its streams, and tells the peer. Idempotent. */
  close(error: Error = gone()): void {
    if (this.#isOver) return;
    this.#session.drain();
    this.#finish(error);
  }

  /** The process holds too much, and this holds most of it. */
  shed(): void {
    this.close(new PosternError('ERR_LINK_FAILED', 'the link held more than the process can bear'));
  }

  #admitOpeners(): void {
    while (this.#openers.length > 0 && this.#session.mayOpen && !this.#isOver) {
      this.#openers.admit(() => this.#open());
    }
  }

  #open(): MuxStream {
    const stream = this.#add(this.#session.open());
    this.#sender.pump();
    return stream;
  }

  #add(state: MuxStreamState<MuxStream>): MuxStream {
    state.owner = new MuxStream(this.#port, state);
    return state.owner;
  }

  /** @returns whether nobody will read the chunk again */
  #receive(chunk: Buffer): boolean {
    if (this.#isOver) return true;
    this.#receivedBytes += chunk.length;
    const delayMs = this.#options.meter?.onRead(chunk.length) ?? 0;
    this.#session.push(chunk);
    this.#isWorking = true;
    this.#isChunkInUse = false;
    if (isForLater(chunk.length)) this.#workLater(delayMs);
    else this.#work(delayMs);
    return !this.#isWorking && !this.#isChunkInUse;
  }

  /**
   * Does what came asks for, for no longer than a turn: whoever sends many tiny frames waits, and not
   * the others. Reading goes on when all is done and the meter lets it.
   */
  #work(delayMs: number): void {
    workInTurn(() => this.#takeSteps());
    if (this.#isOver) return;
    this.#account();
    this.#sender.pump();
    if (this.#isWorking) {
      this.#workLater(delayMs);
      return;
    }
    if (this.#endWaits) {
      this.#finish();
      return;
    }
    this.#watchHeader();
    if (delayMs > 0) {
      this.#reading.pause();
      this.#after(delayMs, () => this.#reading.resume());
    } else this.#reading.resume();
  }

  #workLater(delayMs: number): void {
    this.#reading.pause();
    waitInLine(() => this.#work(delayMs));
  }

  #takeSteps(): void {
    const start = performance.now();
    for (let steps = 1; !this.#isOver; steps += 1) {
      const actions = this.#session.step();
      if (actions === NEED_MORE) {
        this.#isWorking = false;
        return;
      }
      for (const action of actions) this.#perform(action);
      if (steps % STEPS_BETWEEN_LOOKS === 0 && performance.now() - start > limits.muxTurnMs) return;
    }
  }

  #perform(action: MuxAction<MuxStream>): void {
    switch (action.type) {
      case 'opened': {
        const stream = this.#add(action.stream);
        if (this.#options.onStream === undefined) stream.destroy();
        else this.#options.onStream(stream);
        break;
      }
      case 'acked':
        this.#admitOpeners();
        break;
      case 'deliver':
        if (action.stream.owner?.deliver(action.bytes) === false) this.#isChunkInUse = true;
        break;
      case 'end':
        action.stream.owner?.deliverEnd();
        break;
      case 'broken':
        action.stream.owner?.destroy(action.error);
        break;
      case 'pong':
        this.#pings.shift()?.();
        break;
      case 'draining':
        this.#openers.refuse(gone());
        this.#options.onDraining?.();
        this.#endIfDrained();
        break;
      case 'failed':
        this.#finish(action.error);
        break;
    }
  }

  #account(): void {
    const held = this.#session.heldBytes;
    const more = held - this.#heldBytes;
    this.#heldBytes = held;
    if (more !== 0 && !this.#isOver) this.#options.budget.hold(this, more);
  }

  /** Half a header is the start of a whole one, or the end of a peer. */
  #watchHeader(): void {
    this.#cancelHeader?.();
    this.#cancelHeader = this.#session.isMidHeader
      ? this.#timers.after(limits.muxHeaderMs, () => this.close(gone()))
      : undefined;
  }

  #after(delayMs: number, callback: () => void): void {
    const cancel = this.#timers.after(delayMs, () => {
      this.#waits.delete(cancel);
      callback();
    });
    this.#waits.add(cancel);
  }

  #endIfDrained(): void {
    if (this.#session.isDraining && this.#session.streamCount === 0) this.#finish();
  }

  /** The end of everything: the last frames go out, the streams break, the connection closes. */
  #finish(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelHeader?.();
    for (const cancel of this.#waits) cancel();
    this.#options.budget.leave(this);
    this.#openers.refuse(gone());
    // Before the streams go: that the link ends says all about them.
    const last = Buffer.allocUnsafe(LAST_BYTES);
    const length = this.#session.produce(last, 0, []);
    const gathered = this.#sender.stop();
    const broken = error instanceof PosternError ? error : gone(error);
    for (const { owner } of this.#session.streams) owner?.destroy(broken);
    this.#closeInner(Buffer.concat([gathered, last.subarray(0, length)]));
    this.#settleClosed(error);
  }

  #closeInner(last: Buffer): void {
    const inner = this.#inner;
    inner.on('error', ignore);
    if (!inner.writable) {
      inner.destroy();
      return;
    }
    const cancel = this.#timers.after(limits.closeLingerMs, () => inner.destroy());
    inner.once('close', cancel);
    inner.end(last, () => inner.destroy());
  }
}

/** Room for a GOAWAY and what else was to be said about streams. */
const LAST_BYTES = 4096;

/** How many frames may pass before somebody looks at the clock. */
const STEPS_BETWEEN_LOOKS = 16;

function gone(cause?: Error): PosternError {
  return new PosternError('ERR_LINK_FAILED', 'the link has ended', { cause });
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
