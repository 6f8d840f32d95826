import { addAbortListener, once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { DialOptions, Dialer } from '../../net/dialer.ts';
import type { Timers } from '../../time.ts';
import { formatEndpoint, type Endpoint } from '../../pt/address.ts';
import {
  endSession,
  errorFromAnswer,
  followStream,
  linkSettings,
  openWindow,
} from './http2-link.ts';

/**
 * A link ("OR connection"): one connection to a bridge, and the client's end of the many streams that
 * it carries.
 */
export class Link {
  /** Settles, and never rejects, when the link has ended. */
  readonly closed: Promise<void>;
  /** Called when the bridge takes no new streams any more, and keeps those that it has. */
  onDraining: () => void = () => {};
  readonly #session: ClientHttp2Session;
  readonly #timers: Timers;
  #streams = 0;
  #receives = 0;
  #cancelCheck: (() => void) | undefined;

  private constructor(session: ClientHttp2Session, stream: Duplex, timers: Timers) {
    this.#session = session;
    this.#timers = timers;
    stream.on('data', () => (this.#receives += 1));
    session.once('goaway', () => this.onDraining());
    this.closed = new Promise((resolve) => {
      session.once('close', () => {
        this.#cancelCheck?.();
        resolve();
      });
    });
  }

  /**
   * Makes a link of a connection, which it then owns, and waits until the far end has spoken.
   *
   * @throws PosternError `ERR_LINK_FAILED` when that is no HTTP/2 server
   */
  static async open(stream: Duplex, timers: Timers, { signal }: DialOptions = {}): Promise<Link> {
    signal?.throwIfAborted();
    const session = connect(AUTHORITY, { ...linkSettings, createConnection: () => stream });
    session.on('error', () => {}); // 'close' follows
    followStream(session, stream);
    const link = new Link(session, stream, timers);
    const abortion = signal && addAbortListener(signal, () => link.close());
    const spoke = once(session, 'remoteSettings').then(() => true);
    const isReady = await Promise.race([spoke, link.closed.then(() => false)]);
    abortion?.[Symbol.dispose]();
    signal?.throwIfAborted();
    if (!isReady) throw linkError('the bridge’s end does not speak HTTP/2');
    openWindow(session);
    return link;
  }

  /** Whether new streams can begin: it has not ended, and the bridge does not shut down. */
  get isOpen(): boolean {
    return !this.#session.destroyed && !this.#session.closed;
  }

  /** How many streams are on it, those that are being connected included. */
  get streamCount(): number {
    return this.#streams;
  }

  /**
   * Asks the bridge for a stream to a target.
   *
   * @throws PosternError what the bridge says about the target; `ERR_LINK_FAILED` when the link ended
   *   before it said anything; `ERR_STREAM_TIMED_OUT`
   */
  async connect(target: Endpoint, { signal }: DialOptions = {}): Promise<ClientHttp2Stream> {
    signal?.throwIfAborted();
    const stream = this.#request(target);
    this.#streams += 1;
    this.#watch();
    // An error of a stream that nobody uses any more is nobody's business.
    stream.on('error', () => {});
    stream.once('close', () => (this.#streams -= 1));
    try {
      await this.#answer(stream, signal);
    } catch (error) {
      stream.close(constants.NGHTTP2_CANCEL);
      throw error;
    }
    return stream;
  }

  /** The same for a transport that goes on from the bridge. */
  readonly dial: Dialer = (target, options) => this.connect(target, options);

  /** Ends it and all of its streams. Idempotent. */
  close(): void {
    endSession(this.#session);
  }

  #request(target: Endpoint): ClientHttp2Stream {
    try {
      return this.#session.request({ ':method': 'CONNECT', ':authority': formatEndpoint(target) });
    } catch (error) {
      throw linkError('the link to the bridge has ended', error);
    }
  }

  /** Resolves at a 2xx. */
  #answer(stream: ClientHttp2Stream, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (settlement: () => void): void => {
        cancel();
        abortion?.[Symbol.dispose]();
        stream.off('close', onClose);
        settlement();
      };
      const onClose = (): void =>
        settle(() => reject(linkError('the link broke before the bridge answered')));
      const cancel = this.#timers.after(limits.streamConnectMs, () =>
        settle(() =>
          reject(
            new PosternError('ERR_STREAM_TIMED_OUT', 'the bridge said nothing about the target'),
          ),
        ),
      );
      const abortion =
        signal && addAbortListener(signal, () => settle(() => reject(signal.reason)));
      stream.once('close', onClose);
      stream.once('response', (headers) => {
        const status = headers[':status'] ?? 0;
        const proxyStatus = headers['proxy-status'];
        settle(() => {
          if (status >= 200 && status < 300) resolve();
          else reject(errorFromAnswer(status, [proxyStatus].flat()[0]));
        });
      });
    });
  }

  /**
   * While there are streams and nothing comes in, asks whether the bridge is still there. An idle link
   * stays silent: regular small messages would be a mark of their own.
   */
  #watch(): void {
    if (this.#cancelCheck !== undefined) return;
    const seen = this.#receives;
    this.#cancelCheck = this.#timers.after(limits.linkSilenceMs, () => {
      this.#cancelCheck = undefined;
      if (this.#session.destroyed || this.#streams === 0) return;
      if (this.#receives === seen) this.#probe();
      else this.#watch();
    });
  }

  #probe(): void {
    this.#cancelCheck = this.#timers.after(limits.linkSilenceMs, () => this.close());
    this.#session.ping(() => {
      this.#cancelCheck?.();
      this.#cancelCheck = undefined;
      if (!this.#session.destroyed) this.#watch();
    });
  }
}

function linkError(message: string, cause?: unknown): PosternError {
  return new PosternError('ERR_LINK_FAILED', message, { cause });
}

/** Node wants one; a CONNECT does not send it. */
const AUTHORITY = 'http://bridge';
