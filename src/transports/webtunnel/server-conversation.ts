/**
 * The server's side of one connection: requests as they come, each answered as a web server does, until one asks
 * for the upgrade at the path that only clients of the bridge know.
 *
 * Nothing on the way to an answer looks at that path but for requests that ask for an upgrade: no other can tell
 * it from one that is not there, by bytes or by time.
 */
import { NEED_MORE } from '../../bytes/decoded.ts';
import type { Exchange, ExchangeAction } from '../../bytes/exchange.ts';
import { ByteQueue } from '../../bytes/queue.ts';
import { equalInConstantTime, sha1 } from '../../crypto/hash.ts';
import { PosternBug, PosternError, type ErrorCode } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Clock } from '../../time.ts';
import type { ClientAddress, Folder } from '../contract.ts';
import { BodySkipper } from './body-skipper.ts';
import { hasToken } from './header-fields.ts';
import { type BadRequest, decodeRequestHead, type RequestHead } from './request-head.ts';
import type { Site } from './site.ts';
import { encodeHead, encodeSwitch, pageOf, type Slice, type WebAnswer } from './web-answer.ts';

/** What all connections of one server share. */
export interface ServerSettings {
  /** What the target of an upgrade must be; any will do when absent. */
  readonly path: string | undefined;
  readonly site: Site;
  readonly folder: Folder | undefined;
  readonly clock: Clock;
  /** Whether the connection was to speak TLS, and does not: whatever it asks is refused. */
  readonly isWithoutTls?: boolean;
  /** Whom a connection is for, judged by the fields of its request. */
  readonly clientOf: (request: RequestHead) => ClientAddress;
}

type Actions = readonly ExchangeAction<ClientAddress>[];

/** One connection, until it is a client's. */
export class ServerConversation implements Exchange<ClientAddress> {
  readonly peer: string = 'the client';
  readonly codes: Exchange<ClientAddress>['codes'] = {
    closed: 'ERR_HANDSHAKE_CLOSED',
    timedOut: 'ERR_HANDSHAKE_TIMED_OUT',
  };
  readonly #settings: ServerSettings;
  readonly #received = new ByteQueue();
  #body: BodySkipper | undefined;
  /** What the client is to send. */
  #awaited: 'request' | 'rest' | undefined = 'rest';
  /** Whether the connection closes behind the answer that is being given. */
  #isLast = false;
  #requests = 0;
  #isOver = false;

  constructor(settings: ServerSettings) {
    this.#settings = settings;
  }

  start(): Actions {
    return [{ type: 'patience', ms: limits.webHeadMs }];
  }

  receive(chunk: Uint8Array): Actions {
    if (this.#isOver) throw new PosternBug('a conversation was fed after its end');
    this.#received.push(chunk);
    return this.#next();
  }

  /** Works off what has come, as far as the next answer. */
  #next(): Actions {
    if (!this.#skipBody()) return this.#body === undefined ? this.#end([]) : [];
    const wasIdle = this.#received.length === 0;
    const decoded = wasIdle ? NEED_MORE : decodeRequestHead(this.#received.peek());
    if (decoded === NEED_MORE) {
      // Counted from the first byte, however slowly the others come.
      const awaited = wasIdle ? 'request' : 'rest';
      if (this.#awaited === awaited) return [];
      this.#awaited = awaited;
      return [{ type: 'patience', ms: wasIdle ? limits.webIdleMs : limits.webHeadMs }];
    }
    this.#awaited = undefined;
    const { message } = decoded;
    this.#received.skip(decoded.length);
    if ('status' in message) return this.#refuse(message);
    if (this.#settings.isWithoutTls) {
      return this.#refuse({ status: 400, reason: 'The plain HTTP request was sent to HTTPS port' });
    }
    return this.#isForBridge(message) ? this.#switch(message) : this.#answer(message);
  }

  #refuse({ status, reason }: BadRequest): Actions {
    this.#isLast = true;
    const page = pageOf(status, reason === undefined ? {} : { reason });
    return this.#send([this.#headOf(page, 'close')], page);
  }

  /** Whether what comes next is a request; false while a body is not over, or when it is none. */
  #skipBody(): boolean {
    while (this.#body !== undefined) {
      if (this.#body.isOver) {
        this.#body = undefined;
        break;
      }
      if (this.#received.length === 0) return false;
      const count = this.#body.skip(this.#received.peek());
      if (count === undefined) {
        this.#body = undefined;
        return false;
      }
      if (count === 0) return false;
      this.#received.skip(count);
    }
    return true;
  }

  #isForBridge({ fields, target }: RequestHead): boolean {
    if (!hasToken(fields, 'upgrade', 'websocket') || !hasToken(fields, 'connection', 'upgrade')) {
      return false;
    }
    const { path } = this.#settings;
    if (path === undefined) return true;
    const asked = Buffer.from(/^[^?#]*/.exec(target)![0], 'latin1');
    return equalInConstantTime(asked, Buffer.from(path, 'latin1'));
  }

  #switch(request: RequestHead): Actions {
    this.#isOver = true;
    const key = request.fields.get('sec-websocket-key')?.[0];
    const accept =
      key === undefined
        ? undefined
        : sha1(Buffer.from(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)).toString('base64');
    const { clock, clientOf } = this.#settings;
    return [
      { type: 'send', bytes: encodeSwitch(accept, clock.epochMs()) },
      { type: 'done', result: clientOf(request), leftover: this.#received.take() },
    ];
  }

  #answer(request: RequestHead): Actions {
    this.#requests += 1;
    const { fields, version, method } = request;
    const { site } = this.#settings;
    const isKept =
      version === '1.1'
        ? !hasToken(fields, 'connection', 'close')
        : hasToken(fields, 'connection', 'keep-alive');
    this.#isLast = !isKept || this.#requests >= limits.webRequests;
    const isTooLarge = Number(fields.get('content-length')?.[0] ?? 0) > limits.webBodyBytes;
    this.#body = new BodySkipper(request);
    const work = async (): Promise<Actions> => {
      let answer: WebAnswer;
      try {
        answer = isTooLarge ? pageOf(413) : await site.answer(request);
      } catch {
        answer = pageOf(500);
      }
      this.#isLast ||= CLOSING.has(answer.status);
      const head = this.#headOf(answer, this.#isLast ? 'close' : 'keep-alive');
      // nginx closes behind it as well, and does not say so.
      this.#isLast ||= answer.status === 412;
      return this.#send(
        version === '0.9' ? [] : [head],
        method === 'HEAD' ? { ...answer, body: [] } : answer,
      );
    };
    return [{ type: 'wait', work }];
  }

  /** Sends some bytes, and what of an answer follows them: as much at a time as is held in memory for it. */
  #send(bytes: readonly Uint8Array[], { body, file = [] }: WebAnswer): Actions {
    const [part, ...rest] = body;
    if (part === undefined) {
      const sent = bytes.map((chunk) => ({ type: 'send', bytes: chunk }) as const);
      return this.#isLast ? this.#end(sent) : [...sent, ...this.#next()];
    }
    const answer = { status: 200, fields: [], file };
    if (part instanceof Uint8Array) return this.#send([...bytes, part], { ...answer, body: rest });
    const work = async (): Promise<Actions> => {
      const { position, length } = part;
      const count = Math.min(length, READ_BYTES);
      const read = await this.#settings.folder!.read(file, position, count);
      // A file that has become shorter: the promised length can only be broken.
      if (read.length === 0) return this.#end([], 'ERR_STREAM_TRUNCATED');
      const left: Slice = { position: position + read.length, length: length - read.length };
      return this.#send([read], { ...answer, body: left.length > 0 ? [left, ...rest] : rest });
    };
    return [
      ...bytes.map((chunk) => ({ type: 'send', bytes: chunk }) as const),
      { type: 'patience', ms: limits.webHeadMs },
      { type: 'wait', work },
    ];
  }

  #headOf(answer: WebAnswer, connection: 'keep-alive' | 'close'): Buffer {
    return encodeHead(answer, connection, this.#settings.clock.epochMs());
  }

  /** The last answer has been given. */
  #end(sent: Actions, code: ErrorCode = 'ERR_HANDSHAKE_REJECTED'): Actions {
    this.#isOver = true;
    const error = new PosternError(code, 'a visitor of the web site, and no client of the bridge');
    return [...sent, { type: 'failed', error }];
  }
}

/** Statuses behind which nginx closes. */
const CLOSING: ReadonlySet<number> = new Set([400, 413, 414, 500, 501]);
/** What is read of a file at once. */
const READ_BYTES = 131_072;
