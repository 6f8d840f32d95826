import { addAbortListener } from 'node:events';
import { Duplex } from 'node:stream';
import { NEED_MORE } from '../bytes/decoded.ts';
import type { BudgetMember, ByteBudget } from '../bytes/budget.ts';
import { Fifo } from '../bytes/fifo.ts';
import { tightly } from '../bytes/tightly.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { systemTimers, type Timers } from '../time.ts';
import { isForLater, waitInLine, workInTurn } from '../turns.ts';
import { type MuxAction, MuxSession, type MuxStreamState } from './session.ts';

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
  readonly #session: MuxSession;
  readonly #options: MuxConnectionOptions;
  readonly #streams = new Map<MuxStreamState, MuxStream>();
  /** Who waits until a stream may be opened. */
  readonly #openers = new Fifo<Opener>();
  /** Who waits for the answer to a ping. */
  readonly #pings = new Fifo<() => void>();
  readonly #timers: Timers;
  /** What cancels the waits that are under way. */
  readonly #waits = new Set<() => void>();
  #cancelHeader: (() => void) | undefined;
  #isWriting = false;
  #isPumpDue = false;
  #isReading = false;
  #receivedBytes = 0;
  #heldBytes = 0;
  #isOver = false;
  #settleClosed: (error: Error | undefined) => void = () => {};
  /** What the streams ask for. */
  readonly #port: StreamPort = {
    write: (state, chunk) => {
      this.#session.write(state, chunk);
      this.#schedulePump();
    },
    end: (state) => {
      this.#session.end(state);
      this.#schedulePump();
    },
    consumed: (state, bytes) => {
      this.#session.consumed(state, bytes);
      this.#account();
      this.#schedulePump();
    },
    closed: (state) => {
      this.#session.close(state);
      this.#streams.delete(state);
      this.#account();
      this.#schedulePump();
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
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    inner.on('data', (chunk: Buffer) => this.#receive(chunk));
    inner.on('end', () => this.#finish());
    inner.on('error', (error) => this.#finish(error));
    inner.on('close', () => this.#finish());
    inner.resume();
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
    if (this.#openers.length > 0 || !this.#session.mayOpen) return this.#turn(signal);
    return this.#open();
  }

  /** Asks whether the peer is there. Resolves when it answers, and not at all when it does not. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#pings.push(resolve);
      this.#session.ping();
      this.#schedulePump();
    });
  }

  /** Takes no new streams; it ends with the last one that it has. */
  drain(): void {
    this.#session.drain();
    this.#schedulePump();
    this.#refuseOpeners();
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

  /** Waits in line until a stream may be opened; giving up leaves it. */
  #turn(signal: AbortSignal | undefined): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      const opener: Opener = { resolve, reject, isWaiting: true };
      this.#openers.push(opener);
      if (signal === undefined) return;
      const abortion = addAbortListener(signal, () => {
        opener.isWaiting = false;
        reject(signal.reason as Error);
      });
      opener.cleanUp = () => abortion[Symbol.dispose]();
    });
  }

  #admitOpeners(): void {
    while (this.#openers.length > 0 && this.#session.mayOpen && !this.#isOver) {
      const opener = this.#openers.shift()!;
      opener.cleanUp?.();
      if (opener.isWaiting) opener.resolve(this.#open());
    }
  }

  #refuseOpeners(): void {
    for (const opener of this.#openers.drain()) {
      opener.cleanUp?.();
      if (opener.isWaiting) opener.reject(gone());
    }
  }

  #open(): MuxStream {
    this.#schedulePump();
    return this.#add(this.#session.open());
  }

  #add(state: MuxStreamState): MuxStream {
    const stream = new MuxStream(this.#port, state);
    this.#streams.set(state, stream);
    return stream;
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#receivedBytes += chunk.length;
    const delayMs = this.#options.meter?.onRead(chunk.length) ?? 0;
    this.#session.push(chunk);
    this.#isReading = true;
    if (isForLater(chunk.length)) this.#workLater(delayMs);
    else this.#work(delayMs);
  }

  /**
   * Does what came asks for, for no longer than a turn: whoever sends many tiny frames waits, and not
   * the others. Reading goes on when all is done and the meter lets it.
   */
  #work(delayMs: number): void {
    workInTurn(() => this.#takeSteps());
    if (this.#isOver) return;
    this.#account();
    this.#schedulePump();
    if (this.#isReading) {
      this.#workLater(delayMs);
      return;
    }
    this.#watchHeader();
    if (delayMs > 0) {
      this.#inner.pause();
      this.#after(delayMs, () => this.#inner.resume());
    } else if (this.#inner.isPaused()) this.#inner.resume();
  }

  #workLater(delayMs: number): void {
    this.#inner.pause();
    waitInLine(() => this.#work(delayMs));
  }

  #takeSteps(): void {
    const start = performance.now();
    for (let steps = 1; !this.#isOver; steps += 1) {
      const actions = this.#session.step();
      if (actions === NEED_MORE) {
        this.#isReading = false;
        return;
      }
      for (const action of actions) this.#perform(action);
      if (steps % STEPS_BETWEEN_LOOKS === 0 && performance.now() - start > limits.muxTurnMs) return;
    }
  }

  #perform(action: MuxAction): void {
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
        this.#streams.get(action.stream)?.deliver(action.bytes);
        break;
      case 'end':
        this.#streams.get(action.stream)?.push(null);
        break;
      case 'broken':
        this.#streams.get(action.stream)?.destroy(action.error);
        break;
      case 'pong':
        this.#pings.shift()?.();
        break;
      case 'draining':
        this.#refuseOpeners();
        this.#options.onDraining?.();
        this.#endIfDrained();
        break;
      case 'failed':
        this.#finish(action.error);
        break;
    }
  }

  /** Once a turn of the event loop, so that what many streams write goes out in one piece. */
  #schedulePump(): void {
    if (this.#isPumpDue || this.#isWriting || this.#isOver) return;
    this.#isPumpDue = true;
    process.nextTick(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#isWriting || this.#isOver) return;
    const burst = takeBurst();
    const length = this.#fill(burst);
    if (length === 0) {
      returnBurst(burst);
      return;
    }
    const bytes = burst.subarray(0, length);
    if (length >= SMALL_BYTES) {
      this.#write(bytes, () => returnBurst(burst));
      return;
    }
    // A large buffer is not kept waiting for a few bytes.
    this.#write(Buffer.from(bytes), () => {});
    returnBurst(burst);
  }

  /** Asks all streams for what they have, and those that have given all for more. */
  #fill(burst: Buffer): number {
    let length = 0;
    for (;;) {
      const written: MuxStreamState[] = [];
      const more = this.#session.produce(burst, length, written);
      length += more;
      for (const state of written) this.#streams.get(state)?.written();
      if (more === 0 || written.length === 0) return length;
    }
  }

  #write(bytes: Buffer, done: () => void): void {
    this.#isWriting = true;
    const delayMs = this.#options.meter?.onWrite(bytes.length) ?? 0;
    this.#inner.write(bytes, () => {
      done();
      if (delayMs > 0) this.#after(delayMs, () => this.#writeOn());
      else this.#writeOn();
    });
  }

  /** In another turn of the event loop: a link with much to send is not to keep the others from theirs. */
  #writeOn(): void {
    setImmediate(() => {
      this.#isWriting = false;
      this.#pump();
    });
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
    this.#refuseOpeners();
    // Before the streams go: that the link ends says all about them.
    const last = Buffer.allocUnsafe(LAST_BYTES);
    const length = this.#session.produce(last, 0, []);
    const broken = error instanceof PosternError ? error : gone(error);
    for (const stream of this.#streams.values()) stream.destroy(broken);
    this.#streams.clear();
    this.#closeInner(last.subarray(0, length));
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

interface Opener {
  readonly resolve: (stream: Duplex) => void;
  readonly reject: (error: Error) => void;
  isWaiting: boolean;
  cleanUp?: () => void;
}

/** What a stream asks of its connection. */
interface StreamPort {
  /** The chunk is borrowed until `written` is called. */
  write(state: MuxStreamState, chunk: Buffer): void;
  end(state: MuxStreamState): void;
  consumed(state: MuxStreamState, bytes: number): void;
  closed(state: MuxStreamState): void;
}

type Callback = (error?: Error | null) => void;

/** One stream. */
class MuxStream extends Duplex {
  readonly #port: StreamPort;
  readonly #state: MuxStreamState;
  /** Bytes that were pushed while nobody wanted them: they count as held until somebody does. */
  #unclaimedBytes = 0;
  #isWanted = true;
  #onWritten: Callback | undefined;

  constructor(port: StreamPort, state: MuxStreamState) {
    super({
      allowHalfOpen: true,
      // What the reader has not taken counts as held, all of it.
      readableHighWaterMark: 1,
      writableHighWaterMark: STREAM_BUFFER_BYTES,
    });
    this.#port = port;
    this.#state = state;
    this.on('error', ignore);
  }

  /** @param bytes borrowed */
  deliver(bytes: Buffer): void {
    // What stays would keep the whole chunk alive that it came in.
    const isPassing = this.#isWanted && bytes.length >= SMALL_BYTES && this.readableLength === 0;
    this.#isWanted = this.push(isPassing ? bytes : tightly(bytes)) && this.#isWanted;
    if (this.#isWanted) this.#port.consumed(this.#state, bytes.length);
    else this.#unclaimedBytes += bytes.length;
  }

  /** The chunk that was written, or the end, has gone out. */
  written(): void {
    const callback = this.#onWritten;
    this.#onWritten = undefined;
    callback?.();
  }

  override _read(): void {
    this.#isWanted = true;
    const bytes = this.#unclaimedBytes;
    this.#unclaimedBytes = 0;
    if (bytes > 0) this.#port.consumed(this.#state, bytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    if (chunk.length === 0) {
      callback();
      return;
    }
    this.#onWritten = callback;
    this.#port.write(this.#state, chunk);
  }

  override _final(callback: Callback): void {
    this.#onWritten = callback;
    this.#port.end(this.#state);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#port.closed(this.#state);
    callback(error);
  }
}

/** What a burst has room for: several turns of several streams, in one write. */
const BURST_BYTES = 131_072;

/** Below this a burst is copied, and its buffer is free at once. */
const SMALL_BYTES = 4096;

/** Room for a GOAWAY and what else was to be said about streams. */
const LAST_BYTES = 4096;

/** As much as a relay takes from a socket at once. */
const STREAM_BUFFER_BYTES = 65_536;

/** How many frames may pass before somebody looks at the clock. */
const STEPS_BETWEEN_LOOKS = 16;

/** Buffers that no link is using. */
const bursts: Buffer[] = [];
const MAX_SPARE_BURSTS = 8;

function takeBurst(): Buffer {
  return bursts.pop() ?? Buffer.allocUnsafeSlow(BURST_BYTES);
}

function returnBurst(burst: Buffer): void {
  if (bursts.length < MAX_SPARE_BURSTS) bursts.push(burst);
}

function gone(cause?: Error): PosternError {
  return new PosternError('ERR_LINK_FAILED', 'the link has ended', { cause });
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
