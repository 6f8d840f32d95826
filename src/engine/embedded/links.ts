import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import type { EventStatus } from '../../control/messages.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Dialer } from '../../net/dialer.ts';
import type { Timers } from '../../time.ts';
import { unawaited } from '../../unawaited.ts';
import type { Bandwidth } from './bandwidth.ts';
import type { Bridge } from './bridge.ts';
import { Link } from './link.ts';

/** What the links are given. */
export interface LinksOptions {
  readonly events: Emitter<EngineEvent>;
  readonly bandwidth: Bandwidth;
  readonly timers: Timers;
  /** A bridge was reached, or was not. */
  readonly onReached: (bridge: Bridge) => void;
  readonly onFailed: (bridge: Bridge, error: unknown) => void;
}

/**
 * The links of a client. All circuits that lead one way share its link; when that is full, another one
 * is opened beside it.
 */
export class Links {
  readonly #options: LinksOptions;
  /** The links that are being made, by path. */
  readonly #opening = new Map<string, Promise<Link>>();
  readonly #open = new Map<Link, OpenLink>();
  readonly #stop = new AbortController();

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /** The links that stand. */
  get all(): readonly { readonly bridge: Bridge; readonly streams: number }[] {
    return [...this.#open].map(([link, { path }]) => ({
      bridge: path.at(-1)!,
      streams: link.streamCount,
    }));
  }

  /**
   * A link with room to the last bridge of a path, through those before it; made when there is none.
   *
   * @throws PosternError `ERR_LINK_FAILED`, its cause the reason
   */
  get(path: readonly Bridge[]): Promise<Link> {
    const key = JSON.stringify(path.map(({ route }) => route.key));
    for (const [link, entry] of this.#open) {
      if (entry.key === key && link.hasRoom) return Promise.resolve(link);
    }
    let opening = this.#opening.get(key);
    if (opening === undefined) {
      opening = this.#make(path, key);
      this.#opening.set(key, opening);
    }
    return opening;
  }

  /** A circuit uses it, or does so no more. A link that nobody needs is closed. */
  use(link: Link): () => void {
    const entry = this.#open.get(link);
    if (entry === undefined) return () => {};
    entry.users += 1;
    return () => {
      entry.users -= 1;
      if (entry.users > 0) return;
      // A link straight to a bridge stays for the next circuit, while the bridge is one of ours.
      if (entry.path.length > 1 || entry.path[0]!.isRetired) link.close();
    };
  }

  /** Closes what is left to bridges that are gone from the configuration, and is not in use. */
  closeRetired(): void {
    for (const [link, { path, users }] of this.#open) {
      if (users === 0 && path.some((bridge) => bridge.isRetired)) link.close();
    }
  }

  /** Ends all of them now. */
  close(): void {
    this.#stop.abort(new PosternError('ERR_LINK_FAILED', 'the engine ends'));
    for (const link of this.#open.keys()) link.close();
  }

  async #make(path: readonly Bridge[], key: string): Promise<Link> {
    const bridge = path.at(-1)!;
    let before: Link | undefined;
    let link: Link;
    try {
      before = path.length === 1 ? undefined : await this.get(path.slice(0, -1));
      this.#tell('launched', bridge);
      try {
        link = await this.#connect(bridge, before);
      } catch (error) {
        this.#tell('failed', bridge);
        throw error;
      }
    } catch (error) {
      // Before anyone hears of it: a new attempt must not find this one.
      this.#opening.delete(key);
      if (path.length > 1 && before === undefined) throw error;
      // When the link that led there broke, nothing is known about this bridge.
      const isKnown = !this.#stop.signal.aborted && before?.isOpen !== false;
      if (isKnown) this.#options.onFailed(bridge, error);
      throw new PosternError('ERR_LINK_FAILED', 'the bridge cannot be reached', { cause: error });
    }
    this.#opening.delete(key);
    this.#open.set(link, { key, path, users: 0 });
    this.#tell('connected', bridge);
    unawaited(async () => {
      await link.closed;
      this.#open.delete(link);
      this.#tell('closed', bridge);
    });
    this.#options.onReached(bridge);
    return link;
  }

  async #connect({ line, route }: Bridge, before: Link | undefined): Promise<Link> {
    const { timers, bandwidth } = this.#options;
    const gaveUp = new AbortController();
    const cancel = timers.after(limits.linkOpenMs, () =>
      gaveUp.abort(new PosternError('ERR_LINK_TIMED_OUT', 'the bridge did not answer in time')),
    );
    const signal = AbortSignal.any([gaveUp.signal, this.#stop.signal]);
    try {
      const dial: Dialer = before === undefined ? route.direct : route.through!(before.dial);
      const stream = await dial(line.endpoint, { signal });
      const meter = before === undefined ? { meter: bandwidth } : {};
      return await Link.open(stream, { timers, signal, ...meter });
    } finally {
      cancel();
    }
  }

  #tell(status: EventStatus['orConnection'], { name }: Bridge): void {
    this.#options.events.emit({ type: 'orConnection', status, name });
  }
}

interface OpenLink {
  readonly key: string;
  readonly path: readonly Bridge[];
  users: number;
}
