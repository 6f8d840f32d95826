import type { Duplex } from 'node:stream';
import { Fifo } from '../../bytes/fifo.ts';
import type { Settler } from '../../bytes/settler.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { systemTimers, type Timers } from '../../time.ts';
import { TorControlMachine, type TorControlAction } from '../client.ts';
import { TorCommands } from '../commands.ts';
import { EventHub, type EventsLost } from '../event-hub.ts';
import type { TorEvent } from '../events.ts';
import { refusalOf, type TorReply } from '../messages.ts';
import { unawaited } from '../../unawaited.ts';

/** How long a connection waits. */
export interface TorControlTimes {
  /** How long Tor may take for a reply before the connection is given up. */
  readonly replyTimeoutMs?: number;
  readonly timers?: Timers;
}

/**
 * One connection to Tor's control port, from open to closed. `connectTorControl` makes one that is
 * authenticated.
 */
export class TorControl extends TorCommands implements AsyncDisposable {
  /**
   * Settles, and never rejects, when the connection has ended: with the reason, or with undefined
   * after `close` or `abort`.
   */
  readonly closed: Promise<PosternError | undefined>;
  readonly #stream: Duplex;
  readonly #replyTimeoutMs: number;
  readonly #timers: Timers;
  readonly #machine = new TorControlMachine();
  /** In the order of the commands, as the machine counts them. */
  readonly #waiting = new Fifo<Settler<TorReply>>();
  readonly #hub = new EventHub<TorEvent>();
  #settleClosed!: (reason: PosternError | undefined) => void;
  #cancelDeadline: (() => void) | undefined;
  #closing = false;
  /** Set once the connection has ended. */
  #end: { readonly error: PosternError } | undefined;

  constructor(stream: Duplex, times: TorControlTimes = {}) {
    super();
    this.#stream = stream;
    this.#replyTimeoutMs = times.replyTimeoutMs ?? limits.torControlReplyMs;
    this.#timers = times.timers ?? systemTimers;
    this.closed = new Promise((resolve) => (this.#settleClosed = resolve));
    stream.on('error', () => {}); // 'close' follows
    stream.on('data', (chunk: Buffer) => this.#run(this.#machine.receive(chunk)));
    stream.on('end', () => this.#run(this.#machine.receiveEnd()));
    stream.on('close', () => this.#run(this.#machine.receiveEnd()));
  }

  override command(line: string, data?: string): Promise<TorReply> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) throw this.#end.error;
      if (this.#closing) {
        throw new PosternError('ERR_TOR_CONTROL_CLOSED', 'the connection to Tor is closed');
      }
      this.#send({ resolve, reject }, line, data);
    });
  }

  /**
   * Calls back with each event from now on, at once as it comes. An event stands before what
   * continues after the `await` of a command whose reply came with it.
   *
   * @returns stops that
   */
  onEvent(listener: (event: TorEvent) => void): () => void {
    return this.#hub.subscribe(listener);
  }

  /**
   * The events from this call on, each reader all of them. For a reader that is too slow up to
   * `limits.torControlEvents` wait; more are not kept but counted, in a `lost` that stands where they
   * are missing. It ends after `close`, and throws when the connection was lost.
   */
  events(): AsyncIterableIterator<TorEvent | EventsLost> {
    return this.#hub.events();
  }

  /** Ends the connection once Tor has answered what was asked (QUIT). Idempotent. */
  async close(): Promise<void> {
    if (this.#end === undefined && !this.#closing) {
      this.#closing = true;
      const cancel = this.#timers.after(limits.closeLingerMs, () => this.#stream.destroy());
      unawaited(() => this.closed.then(cancel));
      try {
        this.#send({ resolve: () => {}, reject: () => {} }, 'QUIT');
      } catch {
        this.#stream.destroy(); // too many commands wait already
      }
    }
    await this.closed;
  }

  /** Ends the connection now; what waits for a reply fails. */
  abort(): void {
    this.#closing = true;
    this.#stream.destroy();
  }

  /** The same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #send(waiting: Settler<TorReply>, line: string, data?: string): void {
    const bytes = this.#machine.command(line, data);
    this.#waiting.push(waiting);
    this.#stream.write(bytes);
    if (this.#cancelDeadline === undefined) this.#watch();
  }

  #run(actions: readonly TorControlAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case 'reply':
          this.#answer(action.reply);
          break;
        case 'event':
          this.#hub.emit(action.event);
          break;
        case 'closed':
          this.#finish(action.error);
          break;
      }
    }
  }

  #answer(reply: TorReply): void {
    const waiting = this.#waiting.shift()!;
    const refusal = refusalOf(reply);
    if (refusal === undefined) waiting.resolve(reply);
    else waiting.reject(refusal);
    this.#watch();
  }

  /** A new deadline, for the reply that is due next. */
  #watch(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
    if (this.#waiting.length === 0) return;
    this.#cancelDeadline = this.#timers.after(this.#replyTimeoutMs, () => {
      const message = `Tor did not answer within ${this.#replyTimeoutMs} ms`;
      this.#finish(new PosternError('ERR_TOR_CONTROL_TIMED_OUT', message));
    });
  }

  #finish(error: PosternError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#cancelDeadline?.();
    this.#stream.destroy();
    for (const { reject } of this.#waiting.drain()) reject(error);
    // The end is what a caller of `close` or `abort` asked for; anything else is a loss.
    const reason = this.#closing && error.code === 'ERR_TOR_CONTROL_CLOSED' ? undefined : error;
    this.#hub.finish(reason);
    this.#settleClosed(reason);
  }
}
