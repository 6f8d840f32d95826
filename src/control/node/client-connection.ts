import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import { Fifo } from '../../bytes/fifo.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import {
  createControlClientMachine,
  type ControlClientAction,
  type ControlClientMachine,
  type ControlResult,
} from '../client.ts';
import type { ControlEvent, ControlRequest } from '../messages.ts';

/** A promise that something else settles. */
interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** The driver of a client machine: one connection, from open to closed. */
export class ClientConnection {
  /** Settles when the connection has ended: with the reason, or undefined when it was closed here. */
  readonly closed: Promise<PosternError | undefined>;
  readonly #stream: Duplex;
  readonly #machine: ControlClientMachine;
  /** In the order of the requests, as the machine keeps them. */
  readonly #waiting = new Fifo<Waiting<ControlResult>>();
  readonly #events = new Fifo<ControlEvent>();
  readonly #readers: Waiting<IteratorResult<ControlEvent, undefined>>[] = [];
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
      // An aborted request keeps its place in the order; its result is for nobody.
      this.#waiting.push(abortable({ resolve, reject }, signal));
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
      signal?.throwIfAborted();
      const next = await this.#nextEvent(signal);
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

  /** Closes now; what waits fails. */
  abort(): void {
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
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
    } else if (!this.#closing) {
      this.#events.push(event);
      if (this.#events.length > limits.controlClientEvents) {
        this.#finish(new PosternError('ERR_BYTES_OVERFLOW', 'too many events came before a reply'));
      }
    }
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

  #nextEvent(signal?: AbortSignal): Promise<IteratorResult<ControlEvent, undefined>> {
    const event = this.#events.shift();
    if (event !== undefined) {
      this.#steer();
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#end !== undefined) return this.#endOfEvents(this.#end.error);
    return new Promise((resolve, reject) => {
      const reader = abortable({ resolve, reject }, signal, () => {
        this.#readers.splice(this.#readers.indexOf(reader), 1);
      });
      this.#readers.push(reader);
    });
  }

  #endOfEvents(error: PosternError | undefined): Promise<IteratorResult<ControlEvent, undefined>> {
    return error === undefined
      ? Promise.resolve({ done: true, value: undefined })
      : Promise.reject(error);
  }

  #finish(error: PosternError): void {
    if (this.#end !== undefined) return;
    // The end is what a caller of `close` asked for; anything else is a loss.
    const reason = this.#closing && error.code === 'ERR_CONTROL_CLOSED' ? undefined : error;
    this.#end = { error: reason };
    this.#stream.destroy();
    for (const { reject } of this.#waiting.drain()) reject(error);
    for (const { resolve, reject } of this.#readers.splice(0)) {
      this.#endOfEvents(reason).then(resolve, reject);
    }
    this.#settleClosed(reason);
  }
}

/** The same promise, which an abort rejects as well, unless it has been settled. */
function abortable<T>(
  { resolve, reject }: Waiting<T>,
  signal: AbortSignal | undefined,
  onAbort?: () => void,
): Waiting<T> {
  if (signal === undefined) return { resolve, reject };
  const abortion = addAbortListener(signal, () => {
    onAbort?.();
    reject(signal.reason);
  });
  return {
    resolve: (value) => {
      abortion[Symbol.dispose]();
      resolve(value);
    },
    reject: (error) => {
      abortion[Symbol.dispose]();
      reject(error);
    },
  };
}

/** So many events may lie untaken before the server is held back. */
const MAX_UNTAKEN_EVENTS = 256;
