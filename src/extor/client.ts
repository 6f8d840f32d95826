import { NEED_MORE, type Decoded } from '../bytes/decoded.ts';
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { randomBytes, type Rng } from '../crypto/rng.ts';
import { equalInConstantTime } from '../crypto/hash.ts';
import { safeCookieHash } from '../crypto/safe-cookie.ts';
import { PosternBug, PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import { decodeAuthTypes, decodeFrame } from './decode.ts';
import { encodeMessage } from './encode.ts';
import { AuthStatus, ExtOrCommand, SAFE_COOKIE, SECRET_BYTES } from './messages.ts';

/** What a server-side PT tells its parent about one connection. */
export interface ExtOrClientOptions {
  /** 32 bytes, read from the cookie file for this very connection: a parent's restart renews it. */
  readonly cookie: Uint8Array;
  readonly rng: Rng;
  /** Where the PT client connects from; left out when it is not known. */
  readonly userAddr?: Endpoint;
  /** The transport's PT name. */
  readonly transport: string;
}

/**
 * The client's side of an Extended ORPort connection: SAFE_COOKIE, USERADDR, TRANSPORT, DONE.
 *
 * `done` comes out only after OKAY, so that nothing is sent before it: tor closes a
 * connection on which data waits behind DONE.
 *
 * It fails with `ERR_EXTOR_AUTH`, `ERR_EXTOR_DENIED`, `ERR_EXTOR_MALFORMED`, `ERR_EXTOR_CLOSED`,
 * `ERR_EXTOR_TIMED_OUT` and `ERR_BYTES_OVERFLOW`.
 */
export function createExtOrClient(options: ExtOrClientOptions): Exchange<void> {
  return new ExtOrClientMachine(options);
}

class ExtOrClientMachine implements Exchange<void> {
  readonly peer = 'the Extended ORPort';
  readonly codes = { closed: 'ERR_EXTOR_CLOSED', timedOut: 'ERR_EXTOR_TIMED_OUT' } as const;
  readonly #options: ExtOrClientOptions;
  readonly #nonce: Buffer;
  readonly #queue = new ByteQueue();
  #waitsFor: 'authTypes' | 'serverHash' | 'authStatus' | 'okay' = 'authTypes';
  #done = false;

  constructor(options: ExtOrClientOptions) {
    this.#options = options;
    this.#nonce = randomBytes(options.rng, SECRET_BYTES);
  }

  start(): readonly ExchangeAction<void>[] {
    return []; // The server speaks first.
  }

  receive(chunk: Uint8Array): readonly ExchangeAction<void>[] {
    if (this.#done) throw new PosternBug('ExtORPort client fed after its end');
    this.#queue.push(chunk);
    const actions: ExchangeAction<void>[] = [];
    try {
      while (!this.#done) {
        const step = this.#step(this.#queue.peek());
        if (step === NEED_MORE) break;
        actions.push(...step);
      }
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#done = true;
      actions.push({ type: 'failed', error });
    }
    return actions;
  }

  #step(bytes: Buffer): readonly ExchangeAction<void>[] | typeof NEED_MORE {
    switch (this.#waitsFor) {
      case 'authTypes': {
        const types = decodeAuthTypes(bytes);
        if (types === NEED_MORE) return NEED_MORE;
        if (!this.#consume(types).includes(SAFE_COOKIE)) {
          throw new PosternError('ERR_EXTOR_AUTH', 'the Extended ORPort offers no SAFE_COOKIE');
        }
        this.#waitsFor = 'serverHash';
        return [send(Buffer.concat([Buffer.of(SAFE_COOKIE), this.#nonce]))];
      }
      case 'serverHash': {
        if (bytes.length < 2 * SECRET_BYTES) return NEED_MORE;
        const hash = this.#queue.take(SECRET_BYTES);
        const serverNonce = this.#queue.take(SECRET_BYTES);
        const { cookie } = this.#options;
        const expected = safeCookieHash('server-to-client', cookie, this.#nonce, serverNonce);
        if (!equalInConstantTime(hash, expected)) {
          throw new PosternError('ERR_EXTOR_AUTH', 'the Extended ORPort does not know the cookie');
        }
        this.#waitsFor = 'authStatus';
        return [send(safeCookieHash('client-to-server', cookie, this.#nonce, serverNonce))];
      }
      case 'authStatus': {
        if (bytes.length < 1) return NEED_MORE;
        if (this.#queue.take(1)[0] !== AuthStatus.success) {
          throw new PosternError('ERR_EXTOR_AUTH', 'the Extended ORPort refused our cookie');
        }
        this.#waitsFor = 'okay';
        return [send(this.#metadata())];
      }
      case 'okay': {
        // Skipped by its length: of all that a parent may say only OKAY and DENY concern us.
        const decoded = decodeFrame(bytes);
        if (decoded === NEED_MORE) return NEED_MORE;
        const { command } = this.#consume(decoded);
        if (command === ExtOrCommand.deny) {
          throw new PosternError('ERR_EXTOR_DENIED', 'the Extended ORPort answered DENY');
        }
        if (command !== ExtOrCommand.okay) return [];
        this.#done = true;
        return [{ type: 'done', result: undefined, leftover: this.#queue.take() }];
      }
    }
  }

  #metadata(): Buffer {
    const { userAddr, transport } = this.#options;
    return Buffer.concat([
      ...(userAddr === undefined ? [] : [encodeMessage({ type: 'userAddr', address: userAddr })]),
      encodeMessage({ type: 'transport', name: transport }),
      encodeMessage({ type: 'done' }),
    ]);
  }

  #consume<T>(decoded: Decoded<T>): T {
    this.#queue.skip(decoded.length);
    return decoded.message;
  }
}

function send(bytes: Uint8Array): ExchangeAction<void> {
  return { type: 'send', bytes };
}
