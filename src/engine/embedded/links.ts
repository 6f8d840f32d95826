import type { EventStatus } from '../../control/messages.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Dialer } from '../../net/dialer.ts';
import type { Timers } from '../../time.ts';
import type { EngineEvents } from '../events.ts';
import type { Bandwidth } from './bandwidth.ts';
import type { Bridge } from './bridge.ts';
import { Link } from './link.ts';
import { freeMeter, LinkStream } from './link-stream.ts';

/** What the links are given. */
export interface LinksOptions {
  readonly events: EngineEvents;
  readonly bandwidth: Bandwidth;
  readonly timers: Timers;
  /** A bridge was reached, or was not. */
  readonly onReached: (bridge: Bridge) => void;
  readonly onFailed: (bridge: Bridge, error: unknown) => void;
}

/** The links of a client: one for each path, shared by all circuits that lead that way. */
export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<string, Promise<Link>>();
  readonly #open = new Map<Link, { readonly path: readonly Bridge[]; users: number }>();
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
   * The link to the last bridge of a path, through those before it; made when it is not there.
   *
   * @throws PosternError `ERR_LINK_FAILED`, its cause the reason
   */
  get(path: readonly Bridge[]): Promise<Link> {
    const key = JSON.stringify(path.map(({ route }) => route.key));
    const existing = this.#links.get(key);
    if (existing !== undefined) return existing;
    const forget = (): void => {
      if (this.#links.get(key) === opening) this.#links.delete(key);
    };
    const opening = this.#make(path, forget);
    this.#links.set(key, opening);
    opening.then(
      (link) => {
        // A bridge that shuts down keeps what it has; whoever comes next finds another link.
        link.onDraining = forget;
        void link.closed.then(forget);
      },
      () => {},
    );
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

  /** @param onFailure before anyone hears of it: whoever tries again must not find this attempt */
  async #make(path: readonly Bridge[], onFailure: () => void): Promise<Link> {
    const bridge = path.at(-1)!;
    let before: Link | undefined;
    try {
      before = path.length === 1 ? undefined : await this.get(path.slice(0, -1));
    } catch (error) {
      onFailure();
      throw error;
    }
    this.#tell('launched', bridge);
    let link: Link;
    try {
      link = await this.#connect(bridge, before);
    } catch (error) {
      onFailure();
      this.#tell('failed', bridge);
      // When the link that led there broke, nothing is known about this bridge.
      const isKnown = !this.#stop.signal.aborted && before?.isOpen !== false;
      if (isKnown) this.#options.onFailed(bridge, error);
      throw new PosternError('ERR_LINK_FAILED', 'the bridge cannot be reached', { cause: error });
    }
    this.#open.set(link, { path, users: 0 });
    this.#tell('connected', bridge);
    void link.closed.then(() => {
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
      const joined =
        before === undefined ? bandwidth.meter(stream) : new LinkStream(stream, freeMeter);
      return await Link.open(joined, timers, { signal });
    } finally {
      cancel();
    }
  }

  #tell(status: EventStatus['orConnection'], { name }: Bridge): void {
    this.#options.events.emit({ type: 'orConnection', status, name });
  }
}
