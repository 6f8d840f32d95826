import { NEED_MORE, type Decoded } from '../bytes/decoded.ts';
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { PosternBug, PosternError, type ErrorCode } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import { decodeMethodChoice, decodeReply4, decodeReply5, decodeUserPassStatus } from './decode.ts';
import { encodeGreeting, encodeRequest4, encodeRequest5, encodeUserPass } from './encode.ts';
import { Socks4Reply, SocksMethod, SocksReply } from './messages.ts';

/** What to ask a SOCKS proxy for. Credentials are raw bytes, so that they can be PT arguments. */
export type SocksClientOptions =
  | {
      readonly version: 'socks5';
      readonly target: Endpoint;
      /**
       * 1..255 and 0..255 bytes. By default username/password is then the only method offered: a proxy that
       * ignored the credentials would lose PT arguments in silence, so it has to fail.
       */
      readonly credentials?: { readonly username: Uint8Array; readonly password: Uint8Array };
      /** Whether a proxy may leave the credentials unread: a password it may, PT arguments it may not. */
      readonly mayIgnoreCredentials?: boolean;
    }
  | {
      readonly version: 'socks4' | 'socks4a';
      readonly target: Endpoint;
      /** The USERID field; empty when absent. */
      readonly userId?: Uint8Array;
    };

/**
 * The client's side of SOCKS 5, 4 and 4a: for upstream proxies and for dialling through a PT.
 *
 * It fails with `ERR_TUNNEL_*` where the proxy itself is the trouble, and with the `ERR_DIAL_*` or
 * `ERR_SOCKS_*` code of the reply where the proxy says what kept it from the target.
 *
 * @throws PosternError `ERR_TUNNEL_UNENCODABLE` when the version cannot carry target or credentials
 */
export function createSocksClient(options: SocksClientOptions): Exchange<void> {
  return options.version === 'socks5' ? new Socks5Client(options) : new Socks4Client(options);
}

type Step = readonly ExchangeAction<void>[] | typeof NEED_MORE;

/** What the two versions share: the queue, the loop and the end. */
abstract class Client implements Exchange<void> {
  readonly peer = 'the SOCKS proxy';
  readonly codes = { closed: 'ERR_TUNNEL_CLOSED', timedOut: 'ERR_TUNNEL_TIMED_OUT' } as const;
  readonly #queue = new ByteQueue();
  #done = false;

  abstract start(): readonly ExchangeAction<void>[];
  /** The next message from the front of `bytes`, skipped by `consume`. */
  protected abstract step(bytes: Buffer): Step;

  receive(chunk: Uint8Array): readonly ExchangeAction<void>[] {
    if (this.#done) throw new PosternBug('SOCKS client fed after its end');
    this.#queue.push(chunk);
    const actions: ExchangeAction<void>[] = [];
    try {
      while (!this.#done) {
        const step = this.step(this.#queue.peek());
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

  protected consume<T>(decoded: Decoded<T>): T {
    this.#queue.skip(decoded.length);
    return decoded.message;
  }

  protected established(): readonly ExchangeAction<void>[] {
    this.#done = true;
    return [{ type: 'done', result: undefined, leftover: this.#queue.take() }];
  }
}

class Socks5Client extends Client {
  readonly #greeting: Uint8Array;
  readonly #methods: readonly number[];
  readonly #userPass: Uint8Array | undefined;
  readonly #request: Uint8Array;
  #waitsFor: 'method' | 'userPassStatus' | 'reply' = 'method';

  constructor(options: Extract<SocksClientOptions, { version: 'socks5' }>) {
    super();
    const { credentials, target } = options;
    this.#methods = [
      ...(credentials === undefined || options.mayIgnoreCredentials ? [SocksMethod.none] : []),
      ...(credentials === undefined ? [] : [SocksMethod.usernamePassword]),
    ];
    this.#greeting = encodeGreeting(this.#methods);
    this.#userPass = credentials && encodeUserPass(credentials.username, credentials.password);
    this.#request = encodeRequest5(target);
  }

  start(): readonly ExchangeAction<void>[] {
    return [{ type: 'send', bytes: this.#greeting }];
  }

  protected step(bytes: Buffer): Step {
    switch (this.#waitsFor) {
      case 'method': {
        const choice = decodeMethodChoice(bytes);
        if (choice === NEED_MORE) return NEED_MORE;
        // PT 3.5 [PT-3.5-07]: arguments that the proxy would not read are an error, never dropped in silence.
        const method = this.consume(choice);
        if (!this.#methods.includes(method)) {
          throw authRejected('the SOCKS proxy does not take the authentication that was offered');
        }
        const userPass = method === SocksMethod.none ? undefined : this.#userPass;
        this.#waitsFor = userPass === undefined ? 'reply' : 'userPassStatus';
        return [{ type: 'send', bytes: userPass ?? this.#request }];
      }
      case 'userPassStatus': {
        const status = decodeUserPassStatus(bytes);
        if (status === NEED_MORE) return NEED_MORE;
        if (this.consume(status) !== 0) {
          throw authRejected('the SOCKS proxy refused the username and password or PT arguments');
        }
        this.#waitsFor = 'reply';
        return [{ type: 'send', bytes: this.#request }];
      }
      case 'reply': {
        const reply = decodeReply5(bytes);
        if (reply === NEED_MORE) return NEED_MORE;
        const code = this.consume(reply);
        if (code !== SocksReply.succeeded) throw errorFromReply(code);
        return this.established();
      }
    }
  }
}

class Socks4Client extends Client {
  readonly #request: Uint8Array;

  constructor(options: Extract<SocksClientOptions, { version: 'socks4' | 'socks4a' }>) {
    super();
    const { version, target, userId = new Uint8Array(0) } = options;
    this.#request = encodeRequest4(version, target, userId);
  }

  start(): readonly ExchangeAction<void>[] {
    return [{ type: 'send', bytes: this.#request }];
  }

  protected step(bytes: Buffer): Step {
    const reply = decodeReply4(bytes);
    if (reply === NEED_MORE) return NEED_MORE;
    const code = this.consume(reply);
    if (code === Socks4Reply.granted) return this.established();
    if (code === Socks4Reply.noIdentd || code === Socks4Reply.identdMismatch) {
      throw authRejected('the SOCKS4 proxy does not accept the user id');
    }
    throw new PosternError('ERR_TUNNEL_FAILED', 'the SOCKS4 proxy rejected the request or failed');
  }
}

/** What a SOCKS5 reply code other than success means, as an error that carries the same code on. */
function errorFromReply(code: number): PosternError {
  const [errorCode, what] = REPLY_ERRORS[code] ?? [
    'ERR_TUNNEL_FAILED',
    `SOCKS reply code 0x${code.toString(16).padStart(2, '0')}`,
  ];
  return new PosternError(errorCode, `the SOCKS proxy answered: ${what}`);
}

const REPLY_ERRORS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [SocksReply.generalFailure]: ['ERR_TUNNEL_FAILED', 'general failure'],
  [SocksReply.notAllowed]: ['ERR_DIAL_NOT_ALLOWED', 'not allowed by its rules'],
  [SocksReply.networkUnreachable]: ['ERR_DIAL_NETWORK_UNREACHABLE', 'network unreachable'],
  [SocksReply.hostUnreachable]: ['ERR_DIAL_HOST_UNREACHABLE', 'host unreachable'],
  [SocksReply.connectionRefused]: ['ERR_DIAL_REFUSED', 'connection refused'],
  [SocksReply.ttlExpired]: ['ERR_DIAL_TIMED_OUT', 'TTL expired, or timed out'],
  [SocksReply.commandNotSupported]: ['ERR_SOCKS_COMMAND_UNSUPPORTED', 'command not supported'],
  [SocksReply.addressTypeNotSupported]: [
    'ERR_SOCKS_ADDRESS_UNSUPPORTED',
    'address type not supported',
  ],
};

function authRejected(what: string): PosternError {
  return new PosternError('ERR_TUNNEL_AUTH_REJECTED', what);
}
