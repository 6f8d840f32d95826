/** The bridge's end of links: streams that clients ask for go on to their targets. */
import type { Duplex } from 'node:stream';
import { describeError, PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type Meter, MuxConnection } from '../../mux/node/connection.ts';
import { socksReplyOf } from '../../net/applications.ts';
import { closeGently } from '../../net/close-gently.ts';
import { runExchange } from '../../net/exchange.ts';
import { peerBytes } from '../../net/peer-bytes.ts';
import { relay } from '../../net/relay.ts';
import { WaitingConnections } from '../../net/waiting-connections.ts';
import { encodeReply5 } from '../../socks/encode.ts';
import { SocksReply } from '../../socks/messages.ts';
import { unawaited } from '../../unawaited.ts';
import type { Log } from '../log.ts';
import type { ExitDialer } from './exit.ts';
import { Share } from './share.ts';
import { StreamRequestReader, type StreamTarget } from './stream-request.ts';

/** What a tunnel server is given. */
export interface TunnelServerOptions {
  /**
   * Reaches targets, or refuses to; asked for each stream, so that a policy can change.
   *
   * @param lookups what its link may have looked up at the same time
   */
  readonly dial: (lookups: Share) => ExitDialer;
  readonly meter: Meter;
  readonly log: Log;
}

/** Serves any number of links. */
export class TunnelServer {
  readonly #options: TunnelServerOptions;
  readonly #links = new Set<MuxConnection>();
  /** Links that no stream has got through: anybody can open those, and a client can open its own again. */
  readonly #unused = new WaitingConnections();
  #hasSeenOldPeer = false;

  constructor(options: TunnelServerOptions) {
    this.#options = options;
  }

  /** How many links stand. */
  get linkCount(): number {
    return this.#links.size;
  }

  /** How many streams are on them. */
  get streamCount(): number {
    return [...this.#links].reduce((sum, link) => sum + link.streamCount, 0);
  }

  /** Serves one link until either end closes. */
  accept(connection: Duplex): void {
    connection.on('error', () => {});
    if (this.#links.size >= limits.tunnelLinks && !this.#unused.closeOldest()) {
      connection.destroy();
      return;
    }
    this.#unused.add(connection);
    const idle = new IdleTimer(() => link.drain());
    const lookups = new Share(limits.linkLookups);
    let connected = 0;
    const onConnected = (stream: Duplex): void => {
      connected += 1;
      this.#unused.delete(connection);
      stream.on('close', () => {
        connected -= 1;
        if (connected === 0 && this.#links.has(link)) this.#unused.add(connection);
      });
    };
    const link = new MuxConnection(connection, {
      role: 'server',
      budget: peerBytes,
      meter: this.#options.meter,
      onStream: (stream) => {
        idle.begin();
        stream.on('close', () => idle.end());
        unawaited(
          () => this.#serve(stream, link, lookups, onConnected),
          (fault) => {
            this.#options.log.write('err', `a stream failed: ${describeError(fault)}`, 'stream');
            stream.destroy();
          },
        );
      },
    });
    this.#links.add(link);
    unawaited(async () => {
      const error = await link.closed;
      idle.stop();
      this.#links.delete(link);
      this.#unused.delete(connection);
      this.#tell(error);
    });
  }

  /** Takes no new streams; links end with the last one that they have. */
  drain(): void {
    for (const link of this.#links) link.drain();
  }

  /** Ends all links now. */
  close(): void {
    for (const link of this.#links) link.close();
  }

  #tell(error: Error | undefined): void {
    if (!(error instanceof PosternError) || error.code === 'ERR_LINK_FAILED') return;
    const isNews = error.code === 'ERR_MUX_OLD_PEER' && !this.#hasSeenOldPeer;
    if (isNews) this.#hasSeenOldPeer = true;
    const text = describeError(error);
    this.#options.log.write(isNews ? 'notice' : 'info', `a link ended: ${text}`, text);
  }

  /** One stream, to its end. */
  async #serve(
    stream: Duplex,
    link: MuxConnection,
    lookups: Share,
    onConnected: (stream: Duplex) => void,
  ): Promise<void> {
    const gone = new AbortController();
    stream.on('close', () => gone.abort(new Error('the client gave the stream up')));
    let target: StreamTarget;
    try {
      const timeoutMs = limits.socksRequestTimeoutMs;
      target = await runExchange(stream, new StreamRequestReader(), { timeoutMs });
    } catch (error) {
      // A peer that opens streams and never names a target loses its link.
      const isSilent = error instanceof PosternError && error.code === 'ERR_SOCKS_TIMED_OUT';
      if (isSilent) link.close();
      return;
    }
    let onward: Duplex;
    try {
      onward = await this.#options.dial(lookups)(target, { signal: gone.signal });
    } catch (error) {
      closeGently(stream, encodeReply5(socksReplyOf(error)));
      return;
    }
    if (stream.destroyed) {
      onward.destroy();
      return;
    }
    onConnected(stream);
    stream.write(encodeReply5(SocksReply.succeeded));
    await relay(stream, onward);
  }
}

/** Ends a link on which there have been no streams for long. */
class IdleTimer {
  readonly #onIdle: () => void;
  #timer: NodeJS.Timeout | undefined;
  #busy = 0;
  #isStopped = false;

  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
    this.#start();
  }

  begin(): void {
    this.#busy += 1;
    clearTimeout(this.#timer);
  }

  end(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#start();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #start(): void {
    if (!this.#isStopped) this.#timer = setTimeout(this.#onIdle, limits.tunnelIdleMs);
  }
}
