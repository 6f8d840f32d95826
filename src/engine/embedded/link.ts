import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type Meter, MuxConnection } from '../../mux/node/connection.ts';
import type { DialOptions, Dialer } from '../../net/dialer.ts';
import { runExchange } from '../../net/exchange.ts';
import { peerBytes } from '../../net/peer-bytes.ts';
import type { Timers } from '../../time.ts';
import { StreamRequest, type StreamTarget } from './stream-request.ts';

/** What a link is given. */
export interface LinkOptions extends DialOptions {
  readonly timers: Timers;
  /** Absent for a link inside another one, whose bytes are counted there. */
  readonly meter?: Meter;
}

/**
 * A link ("OR connection"): one connection to a bridge, and the client's end of the many streams that
 * it carries.
 */
export class Link {
  /** Settles, and never rejects, when the link has ended. */
  readonly closed: Promise<void>;
  /** Called when the bridge takes no new streams any more, and keeps those that it has. */
  onDraining: () => void = () => {};
  readonly #mux: MuxConnection;
  readonly #timers: Timers;
  #promised = 0;
  #cancelCheck: (() => void) | undefined;

  private constructor(stream: Duplex, { timers, meter }: LinkOptions) {
    this.#timers = timers;
    this.#mux = new MuxConnection(stream, {
      role: 'client',
      budget: peerBytes,
      timers,
      ...(meter !== undefined && { meter }),
      onDraining: () => this.onDraining(),
    });
    this.closed = this.#mux.closed.then(() => this.#cancelCheck?.());
  }

  /**
   * Makes a link of a connection, which it then owns, and waits until the far end has answered.
   *
   * @throws PosternError `ERR_LINK_FAILED` when that is no bridge of ours; the reason of `signal`
   */
  static async open(stream: Duplex, options: LinkOptions): Promise<Link> {
    const { signal } = options;
    const link = new Link(stream, options);
    const abortion = signal && addAbortListener(signal, () => link.close());
    const ended = link.#mux.closed.then((cause) => ({ cause }));
    const outcome = await Promise.race([link.#mux.ping(), ended]);
    abortion?.[Symbol.dispose]();
    signal?.throwIfAborted();
    if (outcome === undefined) return link;
    throw new PosternError(
      'ERR_LINK_FAILED',
      'the bridge’s end speaks no yamux, or ended',
      outcome,
    );
  }

  /** Whether new streams can begin: it has not ended, and the bridge does not shut down. */
  get isOpen(): boolean {
    return this.#mux.isOpen;
  }

  /** Whether it is open and not full. */
  get hasRoom(): boolean {
    return this.isOpen && Math.max(this.#promised, this.streamCount) < limits.linkStreams;
  }

  /** How many streams are on it, those that are being connected included. */
  get streamCount(): number {
    return this.#mux.streamCount;
  }

  /** Keeps a place for a stream until it has ended. @returns gives the place back; to be called once */
  promise(): () => void {
    this.#promised += 1;
    return () => {
      this.#promised -= 1;
    };
  }

  /**
   * Asks the bridge for a stream to a target.
   *
   * @throws PosternError what the bridge says about the target; `ERR_LINK_FAILED` when the link ended
   *   before it said anything; `ERR_STREAM_TIMED_OUT`
   */
  async connect(target: StreamTarget, { signal }: DialOptions = {}): Promise<Duplex> {
    const request = new StreamRequest(target);
    const stream = await this.#mux.open(signal === undefined ? {} : { signal });
    this.#watch();
    try {
      await runExchange(stream, request, {
        timeoutMs: limits.streamConnectMs,
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      // Why the link broke says more than why the stream did.
      throw error instanceof PosternError ? (stream.errored ?? error) : error;
    }
    return stream;
  }

  /** The same for a transport that goes on from the bridge. */
  readonly dial: Dialer = (target, options) => this.connect(target, options);

  /** Ends it and all of its streams. Idempotent. */
  close(): void {
    this.#mux.close();
  }

  /**
   * While there are streams and nothing comes in, asks whether the bridge is still there. An idle link
   * stays silent: regular small messages would be a mark of their own.
   */
  #watch(): void {
    if (this.#cancelCheck !== undefined) return;
    const seen = this.#mux.receivedBytes;
    this.#cancelCheck = this.#timers.after(limits.linkSilenceMs, () => {
      this.#cancelCheck = undefined;
      if (this.streamCount === 0) return;
      if (this.#mux.receivedBytes === seen) this.#probe();
      else this.#watch();
    });
  }

  /** Anything that comes is an answer. */
  #probe(): void {
    const seen = this.#mux.receivedBytes;
    this.#mux.ping().catch(() => {});
    this.#cancelCheck = this.#timers.after(limits.linkSilenceMs, () => {
      this.#cancelCheck = undefined;
      if (this.#mux.receivedBytes === seen) this.close();
      else this.#watch();
    });
  }
}
