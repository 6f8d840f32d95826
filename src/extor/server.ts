import { NEED_MORE } from '../bytes/decoded.ts';
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { randomBytes, type Rng } from '../crypto/rng.ts';
import { equalInConstantTime } from '../crypto/hash.ts';
import { safeCookieHash } from '../crypto/safe-cookie.ts';
import { PosternBug, PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import { decodeMessage } from './decode.ts';
import { encodeMessage } from './encode.ts';
import { AuthStatus, END_OF_AUTH_TYPES, SAFE_COOKIE, SECRET_BYTES } from './messages.ts';

/** What the parent's side needs for one connection. */
export interface ExtOrServerOptions {
  /** The 32 bytes that the cookie file holds. */
  readonly cookie: Uint8Array;
  readonly rng: Rng;
}

/** What the PT said about a connection; of a repeated command the last one counts, as in tor. */
export interface ExtOrMetadata {
  readonly userAddr?: Endpoint;
  readonly transport?: string;
}

/**
 * The server's side of an Extended ORPort connection: the one that a parent listens with.
 *
 * Its result is what the PT said before DONE: send `okay()` or `deny()`.
 */
export interface ExtOrServer extends Exchange<ExtOrMetadata> {
  /** The bytes that let payload flow. */
  okay(): Uint8Array;
  /** The bytes that refuse the connection, which the driver then closes. */
  deny(): Uint8Array;
}

/**
 * A server machine for one connection. It fails with `ERR_EXTOR_AUTH`, `ERR_EXTOR_MALFORMED` and
 * `ERR_BYTES_OVERFLOW`.
 */
export function createExtOrServer(options: ExtOrServerOptions): ExtOrServer {
  return new ExtOrServerMachine(options);
}

class ExtOrServerMachine implements ExtOrServer {
  readonly peer = 'the PT program';
  readonly codes = { closed: 'ERR_EXTOR_CLOSED', timedOut: 'ERR_EXTOR_TIMED_OUT' } as const;
  readonly #cookie: Uint8Array;
  readonly #nonce: Buffer;
  readonly #queue = new ByteQueue();
  #clientNonce: Uint8Array = new Uint8Array(0);
  #metadata: ExtOrMetadata = {};
  #waitsFor: 'authType' | 'clientNonce' | 'clientHash' | 'message' = 'authType';
  #done = false;

  constructor({ cookie, rng }: ExtOrServerOptions) {
    this.#cookie = cookie;
    this.#nonce = randomBytes(rng, SECRET_BYTES);
  }

  start(): readonly ExchangeAction<ExtOrMetadata>[] {
    return [send(Buffer.of(SAFE_COOKIE, END_OF_AUTH_TYPES))];
  }

  receive(chunk: Uint8Array): readonly ExchangeAction<ExtOrMetadata>[] {
    if (this.#done) throw new PosternBug('ExtORPort server fed after its end');
    this.#queue.push(chunk);
    const actions: ExchangeAction<ExtOrMetadata>[] = [];
    try {
      while (!this.#done) {
        const step = this.#step(this.#queue.peek());
        if (step === NEED_MORE) break;
        actions.push(...step);
      }
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      if (error.code === 'ERR_EXTOR_AUTH') actions.push(send(Buffer.of(AuthStatus.failure)));
      actions.push({ type: 'failed', error });
      this.#done = true;
    }
    return actions;
  }

  okay(): Uint8Array {
    return encodeMessage({ type: 'okay' });
  }

  deny(): Uint8Array {
    return encodeMessage({ type: 'deny' });
  }

  #step(bytes: Buffer): readonly ExchangeAction<ExtOrMetadata>[] | typeof NEED_MORE {
    switch (this.#waitsFor) {
      case 'authType': {
        if (bytes.length < 1) return NEED_MORE;
        if (this.#queue.take(1)[0] !== SAFE_COOKIE) {
          throw new PosternError('ERR_EXTOR_MALFORMED', 'the PT chose a type that is not offered');
        }
        this.#waitsFor = 'clientNonce';
        return [];
      }
      case 'clientNonce': {
        if (bytes.length < SECRET_BYTES) return NEED_MORE;
        this.#clientNonce = this.#queue.take(SECRET_BYTES);
        this.#waitsFor = 'clientHash';
        return [send(Buffer.concat([this.#hash('server-to-client'), this.#nonce]))];
      }
      case 'clientHash': {
        if (bytes.length < SECRET_BYTES) return NEED_MORE;
        const hash = this.#queue.take(SECRET_BYTES);
        if (!equalInConstantTime(hash, this.#hash('client-to-server'))) {
          throw new PosternError('ERR_EXTOR_AUTH', 'the PT does not know the cookie');
        }
        this.#waitsFor = 'message';
        return [send(Buffer.of(AuthStatus.success))];
      }
      case 'message':
        return this.#message(bytes);
    }
  }

  #message(bytes: Buffer): readonly ExchangeAction<ExtOrMetadata>[] | typeof NEED_MORE {
    const decoded = decodeMessage(bytes);
    if (decoded === NEED_MORE) return NEED_MORE;
    this.#queue.skip(decoded.length);
    const { message } = decoded;
    switch (message.type) {
      case 'userAddr':
        this.#metadata = { ...this.#metadata, userAddr: message.address };
        return [];
      case 'transport':
        this.#metadata = { ...this.#metadata, transport: message.name };
        return [];
      case 'done':
        this.#done = true;
        return [{ type: 'done', result: this.#metadata, leftover: this.#queue.take() }];
      default:
        return []; // Unknown commands are ignored, and so are the server's own.
    }
  }

  #hash(direction: 'server-to-client' | 'client-to-server'): Buffer {
    return safeCookieHash(direction, this.#cookie, this.#clientNonce, this.#nonce);
  }
}

function send(bytes: Uint8Array): ExchangeAction<ExtOrMetadata> {
  return { type: 'send', bytes };
}
