import type { Duplex } from 'node:stream';
import { AsyncQueue } from '../../bytes/async-queue.ts';
import { Fifo } from '../../bytes/fifo.ts';
import { rejectOnAbort, type Settler } from '../../bytes/settler.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import {
  createControlClientMachine,
  type ControlClientAction,
  type ControlClientMachine,
  type ControlResult,
} from '../client.ts';
import type { ControlEvent, ControlRequest } from '../messages.ts';

/** The driver of a client machine: one connection, from open to closed. */
export class ClientConnection {
  /** Settles when the connection has ended: with the reason, or undefined when it was closed here. */
  readonly closed: Promise<PosternError | undefined>;
  readonly #stream: Duplex;
  readonly #machine: ControlClientMachine;
  /** In the order of the requests, as the machine keeps them. */
  readonly #waiting = new Fifo<Settler<ControlResult>>();
  readonly #events = new AsyncQueue<ControlEvent>(limits.controlClientEvents);
  #settleClosed!: (reason: PosternError | undefined) => void;
  #closing = false;
  /** Set once the connection has ended. */
  #end: { readonly error: PosternError | undefined } | undefined;

  constructor(stream: Duplex, options: { readonly oldTor?: boolean }) {
    this.#stream = stream;
    this.#machine = createControlClientMachine(options);
    this.closed = new Promise((resolve) => (this.#settleClosed = resolve));
    stream.on('error', () => {}); // 'close' follows
    stream.on('data', (chunk: Buffer) => this.#run(this.#machine.receive(chunk)));
    stream.on('end', () => this.#run(this.#machine.receiveEnd()));
    stream.on('close', () => this.#run(this.#machine.receiveEnd()));
  }

  /** Sends a request at once; results come in the order of the requests. */
  request(request: ControlRequest, signal?: AbortSignal): Promise<ControlResult> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#end !== undefined || this.#closing) {
        throw this.#end?.error ?? new PosternError('ERR_CONTROL_CLOSED', 'the client is closed');
      }
      const bytes = this.#machine.request(request);
      // An aborted request keeps its place in the order; its result is dropped.
      this.#waiting.push(rejectOnAbort({ resolve, reject }, signal));
      this.#stream.write(bytes);
      this.#steer();
    });
  }

  /** The events that nobody has taken yet, and those to come. */
  async *events({ signal }: { readonly signal?: AbortSignal | undefined } = {}): AsyncGenerator<
    ControlEvent,
    undefined
  > {
    for (;;) {
      const next = await this.#events.take(signal);
      this.#steer();
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Lets the server answer what was asked, then closes. */
  async close(): Promise<void> {
    this.#closing = true;
    const deadline = setTimeout(() => this.#stream.destroy(), limits.closeLingerMs);
    this.#stream.end();
    this.#stream.resume();
    await this.closed;
    clearTimeout(deadline);
  }

  /** Closes now; what waits for a reply fails. */
  abort(): void {
    this.#closing = true;
    this.lose();
  }

  /** Closes as if the server had: whoever waits for events hears of a loss. */
  lose(): void {
    this.#stream.destroy();
  }

  #run(actions: readonly ControlClientAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case 'result':
          this.#waiting.shift()?.resolve(action.result);
          break;
        case 'event':
          this.#deliver(action.event);
          break;
        case 'closed':
          this.#finish(action.error);
          break;
      }
    }
    this.#steer();
  }

  #deliver(event: ControlEvent): void {
    // After `close` nobody reads the events that still come.
    if (this.#events.push(event) || this.#closing) return;
    this.#finish(new PosternError('ERR_BYTES_OVERFLOW', 'too many events came before a reply'));
  }

  /**
   * Reads on while somebody waits for a result, or while few events lie here untaken: a reply stands
   * behind the events that were sent before it, so holding those back would hold it back for ever.
   */
  #steer(): void {
    if (this.#end !== undefined) return;
    const holdBack =
      !this.#closing && this.#waiting.length === 0 && this.#events.length >= MAX_UNTAKEN_EVENTS;
    if (holdBack) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  #finish(error: PosternError): void {
    if (this.#end !== undefined) return;
    // The end is what a caller of `close` asked for; anything else is a loss.
    const reason = this.#closing && error.code === 'ERR_CONTROL_CLOSED' ? undefined : error;
    this.#end = { error: reason };
    this.#stream.destroy();
    for (const { reject } of this.#waiting.drain()) reject(error);
    this.#events.finish(reason);
    this.#settleClosed(reason);
  }
}

/** So many events may lie untaken before the server is held back. */
const MAX_UNTAKEN_EVENTS = 256;
