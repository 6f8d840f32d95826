/**
 * How a stream of a link begins: a SOCKS5 request (RFC 1928, section 4) without the negotiation before
 * it, and its reply (section 6). Payload follows.
 *
 * A name that may stand for addresses of one family alone has an address type of its own. A bridge that does not
 * know it refuses the stream: better than an address of the other family.
 */
import { NEED_MORE } from '../../bytes/decoded.ts';
import type { Exchange, ExchangeAction } from '../../bytes/exchange.ts';
import { ByteQueue } from '../../bytes/queue.ts';
import { PosternError, type ErrorCode } from '../../errors.ts';
import type { Endpoint } from '../../pt/address.ts';
import { decodeReply5, decodeRequest5 } from '../../socks/decode.ts';
import { encodeReply5, encodeRequest5 } from '../../socks/encode.ts';
import { SocksReply } from '../../socks/messages.ts';

/** Where a stream is to go. */
export interface StreamTarget extends Endpoint {
  /** For a name: the one family that its address may be of. */
  readonly family?: 4 | 6;
}

/** The address types of SOCKS5 for a name (RFC 1928), and ours for a name of one family. */
const NAME = 0x03;
const familyTypes = { 4: 0x43, 6: 0x63 } as const;

/**
 * The client's end: asks the bridge for a target.
 *
 * It fails with `ERR_DIAL_*` or `ERR_EXIT_POLICY` where the bridge says what kept it from the target,
 * and with `ERR_LINK_FAILED` where the stream ends before it says anything.
 */
export class StreamRequest implements Exchange<void> {
  readonly peer: string = 'the bridge';
  readonly codes: Exchange<void>['codes'] = {
    closed: 'ERR_LINK_FAILED',
    timedOut: 'ERR_STREAM_TIMED_OUT',
  };
  readonly #request: Uint8Array;
  readonly #queue = new ByteQueue();

  /** @throws PosternError `ERR_TUNNEL_UNENCODABLE` for a target that is neither address nor name */
  constructor(target: StreamTarget) {
    this.#request = encodeRequest5(target);
    if (target.family !== undefined && this.#request[3] === NAME) {
      this.#request[3] = familyTypes[target.family];
    }
  }

  start(): readonly ExchangeAction<void>[] {
    return [{ type: 'send', bytes: this.#request }];
  }

  receive(chunk: Uint8Array): readonly ExchangeAction<void>[] {
    this.#queue.push(chunk);
    try {
      const bytes = this.#queue.peek();
      // The version of a foreign proxy is ignored; at the end of our own link it tells who answers.
      if (bytes[0] !== 5) throw new PosternError('ERR_TUNNEL_MALFORMED', 'not a SOCKS5 reply');
      const reply = decodeReply5(bytes);
      if (reply === NEED_MORE) return [];
      this.#queue.skip(reply.length);
      const code = reply.message;
      if (code === SocksReply.succeeded) {
        return [{ type: 'done', result: undefined, leftover: this.#queue.take() }];
      }
      const [error, what] = refusals[code] ?? refusals[SocksReply.generalFailure]!;
      return [{ type: 'failed', error: new PosternError(error, what) }];
    } catch (cause) {
      const error = new PosternError('ERR_LINK_FAILED', 'the bridge answers like something else', {
        cause,
      });
      return [{ type: 'failed', error }];
    }
  }
}

/** The bridge's end: reads what target a stream is for. Its result is the target; a reply follows. */
export class StreamRequestReader implements Exchange<StreamTarget> {
  readonly peer: string = 'the client';
  readonly codes: Exchange<StreamTarget>['codes'] = {
    closed: 'ERR_SOCKS_CLOSED',
    timedOut: 'ERR_SOCKS_TIMED_OUT',
  };
  readonly #queue = new ByteQueue();

  start(): readonly ExchangeAction<StreamTarget>[] {
    return [];
  }

  receive(chunk: Uint8Array): readonly ExchangeAction<StreamTarget>[] {
    this.#queue.push(chunk);
    try {
      const bytes = this.#queue.peek();
      const family = ([4, 6] as const).find((one) => familyTypes[one] === bytes[3]);
      const request = decodeRequest5(
        family === undefined ? bytes : Buffer.from(bytes).fill(NAME, 3, 4),
      );
      if (request === NEED_MORE) return [];
      this.#queue.skip(request.length);
      const result = { ...request.message, ...(family !== undefined && { family }) };
      return [{ type: 'done', result, leftover: this.#queue.take() }];
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      return [
        { type: 'send', bytes: encodeReply5(error.socksReply) },
        { type: 'failed', error },
      ];
    }
  }
}

/** What a reply code says of the target, seen from the client. */
const refusals: Readonly<Record<number, readonly [code: ErrorCode, what: string]>> = {
  [SocksReply.generalFailure]: ['ERR_DIAL_FAILED', 'the bridge could not reach the target'],
  [SocksReply.notAllowed]: ['ERR_EXIT_POLICY', 'the bridge’s exit policy refuses the target'],
  [SocksReply.networkUnreachable]: [
    'ERR_DIAL_NETWORK_UNREACHABLE',
    'the bridge has no way to the target’s network',
  ],
  [SocksReply.hostUnreachable]: [
    'ERR_DIAL_HOST_UNREACHABLE',
    'the bridge finds no host of that name, or no way to it',
  ],
  [SocksReply.connectionRefused]: ['ERR_DIAL_REFUSED', 'the target refuses connections'],
  [SocksReply.addressTypeNotSupported]: [
    'ERR_DIAL_FAILED',
    'the bridge does not know how to look a name up for IPv4 or IPv6 alone: its Postern is an older one',
  ],
  [SocksReply.ttlExpired]: ['ERR_DIAL_TIMED_OUT', 'the target did not answer the bridge in time'],
};
