import { NEED_MORE } from '../bytes/decoded.ts';
import { Fifo } from '../bytes/fifo.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { decodeEvent, decodeFrame, decodeReply } from './decode.ts';
import { encodeRequest } from './encode.ts';
import {
  MessageType,
  type AddressMapping,
  type ControlEvent,
  type ControlReply,
  type ControlRequest,
  type Frame,
} from './messages.ts';

/** The whole answer to one request. */
export type ControlResult =
  | ControlReply
  /** What GETALLMAPPINGS gets: any number of ADDRESSMAPPED and a DONE. */
  | { readonly type: 'mappings'; readonly mappings: readonly AddressMapping[] };

/** What the machine asks its driver to do, in order. */
export type ControlClientAction =
  /** The oldest request that waits is answered. */
  | { readonly type: 'result'; readonly result: ControlResult }
  | { readonly type: 'event'; readonly event: ControlEvent }
  /** The connection is over; requests that still wait fail with `error`. */
  | { readonly type: 'closed'; readonly error: PosternError };

/**
 * The client's side of one TC connection: requests go out as fast as they come, and results come back
 * in the same order, with events between them. Messages of unknown type are ignored.
 */
export interface ControlClientMachine {
  /**
   * The bytes of a request, which now waits for its result.
   *
   * @throws PosternError `ERR_CONTROL_TOO_LONG`, `ERR_CONTROL_UNENCODABLE`; nothing waits then
   */
  request(request: ControlRequest): Uint8Array;
  /** Bytes from the server, borrowed for the call. */
  receive(chunk: Uint8Array): readonly ControlClientAction[];
  /** The connection ended, in whatever way. */
  receiveEnd(): readonly ControlClientAction[];
}

/** What a client machine may be told. */
export interface ControlClientMachineOptions {
  /** The server is a Tor of January 2005: send the signal numbers that it knew. */
  readonly oldTor?: boolean;
}

/**
 * A client machine for one connection. It closes with `ERR_CONTROL_PROTOCOL`, `ERR_CONTROL_CLOSED`,
 * `ERR_CONTROL_V0_UNSUPPORTED`.
 */
export function createControlClientMachine(
  options: ControlClientMachineOptions = {},
): ControlClientMachine {
  return new TcClientMachine(options);
}

class TcClientMachine implements ControlClientMachine {
  readonly #options: ControlClientMachineOptions;
  readonly #queue = new ByteQueue();
  readonly #waiting = new Fifo<ControlRequest>();
  #mappings: AddressMapping[] = [];
  #closed = false;

  constructor(options: ControlClientMachineOptions) {
    this.#options = options;
  }

  request(request: ControlRequest): Uint8Array {
    const bytes = encodeRequest(request, this.#options);
    this.#waiting.push(request);
    return bytes;
  }

  receive(chunk: Uint8Array): readonly ControlClientAction[] {
    const actions: ControlClientAction[] = [];
    if (this.#closed) return actions;
    this.#queue.push(chunk);
    try {
      while (!this.#closed) {
        const decoded = decodeFrame(this.#queue.peek());
        if (decoded === NEED_MORE) break;
        actions.push(...this.#handle(decoded.message));
        this.#queue.skip(decoded.length);
      }
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      actions.push(this.#close(error));
    }
    return actions;
  }

  receiveEnd(): readonly ControlClientAction[] {
    if (this.#closed) return [];
    const actions: ControlClientAction[] = [];
    const oldest = this.#waiting.first;
    // TC 3.10: a server that is told to go may just close the socket.
    if (oldest?.type === 'signal' && (oldest.signal === 'halt' || oldest.signal === 'shutdown')) {
      actions.push(this.#result({ type: 'done' }));
    }
    const error = new PosternError('ERR_CONTROL_CLOSED', 'the control connection ended');
    return [...actions, this.#close(error)];
  }

  #handle(frame: Frame): ControlClientAction[] {
    if (frame.type === MessageType.event) {
      return [{ type: 'event', event: decodeEvent(frame.body) }];
    }
    const reply = readReply(frame);
    if (reply === undefined) return [];
    if (reply.type === 'error') {
      if (MODERN_TOR.test(reply.text)) {
        throw new PosternError('ERR_CONTROL_V0_UNSUPPORTED', 'the server is a newer Tor');
      }
      // Also in the middle of a list of mappings, where no server should put one.
      this.#mappings = [];
    }
    const expected = this.#waiting.first;
    if (expected === undefined) throw unexpected('a reply to no request');
    if (reply.type === 'error') return [this.#result(reply)];
    if (expected.type === 'getAllMappings') return this.#listMappings(reply);
    if (reply.type !== (resultTypes[expected.type] ?? 'done')) {
      throw unexpected('a reply of the wrong type');
    }
    return [this.#result(reply)];
  }

  #listMappings(reply: ControlReply): ControlClientAction[] {
    if (reply.type === 'done') {
      const mappings = this.#mappings;
      this.#mappings = [];
      return [this.#result({ type: 'mappings', mappings })];
    }
    if (reply.type !== 'addressMapped') throw unexpected('a reply of the wrong type');
    // Twice: a server's configuration may map as many again as its controllers.
    if (this.#mappings.length >= 2 * limits.controlMappings) throw unexpected('too many mappings');
    this.#mappings.push(reply.mapping);
    return [];
  }

  #result(result: ControlResult): ControlClientAction {
    this.#waiting.shift();
    return { type: 'result', result };
  }

  #close(error: PosternError): ControlClientAction {
    this.#closed = true;
    this.#queue.skip(this.#queue.length);
    return { type: 'closed', error };
  }
}

/** A reply, or undefined for a type that is none; whatever is wrong with it is the server's fault. */
function readReply(frame: Frame): ControlReply | undefined {
  try {
    return decodeReply(frame);
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    throw unexpected(`a reply that cannot be read: ${error.message}`);
  }
}

function unexpected(what: string): PosternError {
  return new PosternError('ERR_CONTROL_PROTOCOL', `the server sent ${what}`);
}

/** What a request is answered with, where that is not DONE. */
const resultTypes: Readonly<Partial<Record<ControlRequest['type'], ControlReply['type']>>> = {
  getConf: 'confValue',
  mapAddress: 'addressMapped',
};

/** Tor 0.1.2.17 and later: one ERROR whose text is this, and the connection closes. */
const MODERN_TOR = /v0 control protocol is not supported/;
