/**
 * The client's side: one request to become a WebSocket, as a browser makes it, and bytes as they are after the
 * answer. The web server may want any of its fields: HAProxy lets nothing through without a key.
 */
import type { Exchange, ExchangeAction } from '../../bytes/exchange.ts';
import { ByteQueue } from '../../bytes/queue.ts';
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import { PosternBug, PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type BridgeUrl, hostHeader } from './bridge-url.ts';
import { hasToken, headLength, parseHeaderFields } from './header-fields.ts';

const KEY_BYTES = 16;

/** Asks for the upgrade, and is done when it is there. */
export class ClientUpgrade implements Exchange<undefined> {
  readonly peer: string = 'the bridge’s web server';
  readonly codes: Exchange<undefined>['codes'] = {
    closed: 'ERR_HANDSHAKE_CLOSED',
    timedOut: 'ERR_HANDSHAKE_TIMED_OUT',
  };
  readonly #url: BridgeUrl;
  readonly #key: string;
  readonly #received = new ByteQueue();
  #isOver = false;

  constructor(url: BridgeUrl, rng: Rng) {
    this.#url = url;
    this.#key = randomBytes(rng, KEY_BYTES).toString('base64');
  }

  start(): readonly ExchangeAction<undefined>[] {
    const lines = [
      `GET ${this.#url.path} HTTP/1.1`,
      `Host: ${hostHeader(this.#url)}`,
      'User-Agent: Mozilla/5.0',
      // In small letters and alone: webtunnel-server takes them no other way.
      'Connection: upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${this.#key}`,
    ];
    return [
      { type: 'send', bytes: Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1') },
      { type: 'patience', ms: limits.upgradeMs },
    ];
  }

  receive(chunk: Uint8Array): readonly ExchangeAction<undefined>[] {
    if (this.#isOver) throw new PosternBug('an upgrade was fed after its end');
    this.#received.push(chunk);
    for (;;) {
      const text = this.#received.peek(0, limits.webHeadBytes).toString('latin1');
      if (!'HTTP/1.'.startsWith(text.slice(0, 7))) {
        return this.#fail('ERR_HANDSHAKE_REJECTED', 'what answers there is no web server');
      }
      const length = headLength(text);
      if (length === undefined) {
        if (this.#received.length < limits.webHeadBytes) return [];
        return this.#fail('ERR_BYTES_OVERFLOW', 'the web server’s answer is over the limit');
      }
      this.#received.skip(length);
      const [first = '', ...rest] = text.slice(0, length).split(/\r?\n/);
      const status = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?: |$)/.exec(first)?.[1];
      if (status === undefined) {
        return this.#fail('ERR_HANDSHAKE_REJECTED', 'what answers there is no web server');
      }
      if (status === '101') return this.#switchProtocols(rest);
      // Others of this class stand before the answer (RFC 9110, section 15.2).
      if (!status.startsWith('1')) return this.#refused(status);
    }
  }

  #switchProtocols(lines: readonly string[]): readonly ExchangeAction<undefined>[] {
    const fields = parseHeaderFields(lines);
    if (!hasToken(fields, 'connection', 'upgrade') || !hasToken(fields, 'upgrade', 'websocket')) {
      return this.#fail('ERR_UPGRADE_REFUSED', 'the web server switches to another protocol');
    }
    this.#isOver = true;
    return [{ type: 'done', result: undefined, leftover: this.#received.take() }];
  }

  #refused(status: string): readonly ExchangeAction<undefined>[] {
    const meaning = MEANINGS[status] ?? (status.startsWith('3') ? MOVED : undefined);
    const hint = meaning === undefined ? '' : `: ${meaning}`;
    const text = `the web server answered with status ${status}${hint}`;
    return this.#fail('ERR_UPGRADE_REFUSED', text);
  }

  #fail(
    code: 'ERR_HANDSHAKE_REJECTED' | 'ERR_BYTES_OVERFLOW' | 'ERR_UPGRADE_REFUSED',
    message: string,
  ): readonly ExchangeAction<undefined>[] {
    this.#isOver = true;
    return [{ type: 'failed', error: new PosternError(code, message) }];
  }
}

const MOVED = 'it sends clients elsewhere';

/** What a status means here. */
const MEANINGS: Readonly<Record<string, string>> = {
  200: 'it runs, and there is a page at the path of `url`, and no bridge',
  400: 'it runs, and takes the request for a wrong one',
  403: 'it runs, and forbids the path of `url`',
  404: 'it runs, and there is no bridge at the path of `url`',
  502: 'it runs, and the bridge behind it does not',
  503: 'it runs, and the bridge behind it does not',
  504: 'it runs, and the bridge behind it does not answer',
};
