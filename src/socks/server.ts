import { NEED_MORE } from '../bytes/decoded.ts';
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { PosternBug, PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import { decodeGreeting, decodeRequest4, decodeRequest5, decodeUserPass } from './decode.ts';
import { encodeMethodChoice, encodeReply4, encodeReply5, encodeUserPassStatus } from './encode.ts';
import { SocksMethod, SocksReply, type SocksCredentials, type SocksRequest } from './messages.ts';

/** What the driver decides. */
export interface SocksServerOptions {
  /**
   * Judges the client's raw credentials, once for each connection and before its request is
   * answered. A thrown `PosternError` refuses them in the version's own way: RFC 1929 status 0x01,
   * SOCKS4 reply 0x5B, or for SOCKS5 without credentials the error's own reply code.
   */
  readonly accept: (credentials: SocksCredentials) => void;
}

/**
 * The server's side of SOCKS 5, 4 and 4a on one listener: the first byte tells them apart.
 *
 * Username/password is chosen whenever it is offered, because a parent that offers it has transport
 * arguments to pass (PT 3.5); no authentication otherwise.
 *
 * Its result is the request: dial, then send what `reply` returns.
 */
export interface SocksServer extends Exchange<SocksRequest> {
  /** The reply to the request: a SOCKS5 code, put in the form of the client's version. */
  reply(code: number, bound?: Endpoint): Uint8Array;
}

type State = 'version' | 'http' | 'greeting' | 'userPass' | 'request5' | 'request4';

/** A server machine for one connection. */
export function createSocksServer(options: SocksServerOptions): SocksServer {
  return new SocksServerMachine(options);
}

class SocksServerMachine implements SocksServer {
  readonly peer = 'the SOCKS client';
  readonly codes = { closed: 'ERR_SOCKS_CLOSED', timedOut: 'ERR_SOCKS_TIMED_OUT' } as const;
  readonly #options: SocksServerOptions;
  readonly #queue = new ByteQueue();
  #state: State = 'version';
  #done = false;
  #credentials: SocksCredentials = { type: 'none' };

  constructor(options: SocksServerOptions) {
    this.#options = options;
  }

  start(): readonly ExchangeAction<SocksRequest>[] {
    return [];
  }

  receive(chunk: Uint8Array): readonly ExchangeAction<SocksRequest>[] {
    if (this.#done) throw new PosternBug('SOCKS server fed after its end');
    this.#queue.push(chunk);
    const actions: ExchangeAction<SocksRequest>[] = [];
    try {
      while (!this.#done && this.#step(actions) !== NEED_MORE);
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      const refusal = this.#refusal(error);
      if (refusal !== undefined) actions.push({ type: 'send', bytes: refusal });
      actions.push({ type: 'failed', error });
      this.#done = true;
    }
    return actions;
  }

  reply(code: number, bound?: Endpoint): Uint8Array {
    return this.#credentials.type === 'userId' ? encodeReply4(code) : encodeReply5(code, bound);
  }

  /** One step forward, its actions appended; NEED_MORE when the queue holds no whole message. */
  #step(actions: ExchangeAction<SocksRequest>[]): typeof NEED_MORE | undefined {
    const bytes = this.#queue.peek();
    switch (this.#state) {
      case 'version': {
        if (bytes.length === 0) return NEED_MORE;
        this.#state = bytes[0] === 5 ? 'greeting' : bytes[0] === 4 ? 'request4' : 'http';
        return;
      }
      case 'http':
        return judgeHttp(bytes);
      case 'greeting': {
        const greeting = decodeGreeting(bytes);
        if (greeting === NEED_MORE) return NEED_MORE;
        this.#queue.skip(greeting.length);
        const method = chooseMethod(greeting.message);
        if (method === SocksMethod.noneAcceptable) {
          throw new PosternError(
            'ERR_SOCKS_METHOD_UNSUPPORTED',
            'the client offers neither username/password nor no authentication',
          );
        }
        actions.push({ type: 'send', bytes: encodeMethodChoice(method) });
        this.#state = method === SocksMethod.usernamePassword ? 'userPass' : 'request5';
        return;
      }
      case 'userPass': {
        const userPass = decodeUserPass(bytes);
        if (userPass === NEED_MORE) return NEED_MORE;
        this.#queue.skip(userPass.length);
        this.#credentials = userPass.message;
        this.#options.accept(userPass.message);
        actions.push({ type: 'send', bytes: encodeUserPassStatus(true) });
        this.#state = 'request5';
        return;
      }
      case 'request5': {
        const target = decodeRequest5(bytes);
        if (target === NEED_MORE) return NEED_MORE;
        this.#queue.skip(target.length);
        const credentials = this.#credentials;
        if (credentials.type === 'none') this.#options.accept(credentials);
        const request = { version: 'socks5', target: target.message, credentials } as const;
        this.#finish(actions, request);
        return;
      }
      case 'request4': {
        const request = decodeRequest4(bytes);
        if (request === NEED_MORE) return NEED_MORE;
        this.#queue.skip(request.length);
        this.#credentials = request.message.credentials;
        this.#options.accept(this.#credentials);
        this.#finish(actions, request.message);
        return;
      }
    }
  }

  #finish(actions: ExchangeAction<SocksRequest>[], request: SocksRequest): void {
    actions.push({ type: 'done', result: request, leftover: this.#queue.take() });
    this.#done = true;
  }

  /** The refusal in the form of the version and of the stage that the client has reached. */
  #refusal(error: PosternError): Uint8Array | undefined {
    switch (this.#state) {
      case 'http':
        return error.code === 'ERR_SOCKS_HTTP' ? HTTP_REFUSAL : undefined;
      case 'greeting':
        return encodeMethodChoice(SocksMethod.noneAcceptable);
      case 'userPass':
        return encodeUserPassStatus(false);
      case 'request5':
        return encodeReply5(error.socksReply);
      case 'request4':
        return encodeReply4(SocksReply.generalFailure);
      default:
        return undefined;
    }
  }
}

/** Refuses what is neither version. HTTP is named: people often mix up the two kinds of proxy. */
function judgeHttp(bytes: Buffer): typeof NEED_MORE {
  const method = HTTP_METHODS.find((word) => startsAlike(word, bytes));
  if (method !== undefined && bytes.length < method.length) return NEED_MORE;
  throw method === undefined
    ? new PosternError('ERR_SOCKS_VERSION', 'the client speaks neither SOCKS5 nor SOCKS4')
    : new PosternError('ERR_SOCKS_HTTP', 'the client speaks HTTP to a SOCKS port');
}

function chooseMethod(offered: readonly number[]): number {
  if (offered.includes(SocksMethod.usernamePassword)) return SocksMethod.usernamePassword;
  return offered.includes(SocksMethod.none) ? SocksMethod.none : SocksMethod.noneAcceptable;
}

/** Whether `bytes` and `word` agree as far as both go. */
function startsAlike(word: Buffer, bytes: Buffer): boolean {
  const length = Math.min(word.length, bytes.length);
  return word.subarray(0, length).equals(bytes.subarray(0, length));
}

const HTTP_METHODS = ['GET ', 'POST ', 'HEAD ', 'PUT ', 'OPTIONS ', 'CONNECT '].map((word) =>
  Buffer.from(word),
);

// People type a SOCKS port into a browser's HTTP proxy field; a page tells them what is wrong.
const HTTP_REFUSAL = Buffer.from(
  'HTTP/1.0 501 Not Implemented\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n' +
    'This is a SOCKS proxy, not an HTTP proxy.\r\n',
);
