import { addAbortListener } from 'node:events';
import { Recurring } from '../../bytes/recurring.ts';
import { systemRng, type Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { retryDelayMs } from '../../net/retry-delay.ts';
import { systemTimers, type Timers } from '../../time.ts';
import { TorCommands } from '../commands.ts';
import { EventHub, type EventsLost } from '../event-hub.ts';
import type { TorEvent } from '../events.ts';
import type { TorReply } from '../messages.ts';
import { connectTorControl, type TorControlTarget } from './connect.ts';
import type { TorControl } from './control.ts';
import { unawaited } from '../../unawaited.ts';

/** Where to, and what to do with each new connection. */
export type KeepTorControlOptions = TorControlTarget & {
  /** The events to be told of on each connection, until `setEvents` says otherwise. */
  readonly events?: readonly string[];
  /**
   * Prepares each new connection before anyone else may use it: mappings, TAKEOWNERSHIP… When it
   * rejects, the connection counts as failed.
   */
  readonly prepare?: (control: TorControl) => Promise<void>;
  /** The wait before the second attempt; it doubles with each further failure. */
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
  /** A connection that stood for so long was healthy: its end counts as the first failure. */
  readonly stableMs?: number;
  readonly rng?: Rng;
};

/** News of the connection itself, which stand among Tor's events. */
export type TorConnectionNews =
  /** Commands reach Tor. All that was known of Tor's state has to be asked for again. */
  | { readonly type: 'connected' }
  /** The connection ended, or could not be made; the next attempt comes after `retryMs`. */
  | { readonly type: 'disconnected'; readonly error: unknown; readonly retryMs: number };

/**
 * Connects to Tor's control port, and again whenever the connection has ended, until it is closed: a
 * Tor that starts anew has a new cookie and may take a while, so no failure is final.
 */
export function keepTorControl(options: KeepTorControlOptions): KeptTorControl {
  return new KeptTorControl(options);
}

/**
 * A connection to Tor's control port that comes back.
 *
 * While there is none, commands reject at once with `ERR_TOR_CONTROL_UNAVAILABLE` and are not kept
 * for later: the Tor that comes back may be another one. Commands under way when it ends reject
 * with `ERR_TOR_CONTROL_CLOSED`; Tor may have carried them out or not.
 */
export class KeptTorControl extends TorCommands implements AsyncDisposable {
  /** Resolves once `close` or `abort` has ended everything. */
  readonly closed: Promise<void>;
  readonly #options: KeepTorControlOptions;
  readonly #timers: Timers;
  readonly #stop = new AbortController();
  readonly #hub = new EventHub<TorEvent | TorConnectionNews>();
  readonly #control = new Recurring<TorControl>();
  #events: readonly string[];
  /** The connection that was made, ready or not. */
  #made: TorControl | undefined;

  constructor(options: KeepTorControlOptions) {
    super();
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#events = options.events ?? [];
    this.closed = this.#run();
  }

  /** The connection that stands now, if one does. */
  get current(): TorControl | undefined {
    return this.#control.current;
  }

  /**
   * The connection that stands now, or the next one.
   *
   * @throws PosternError `ERR_TOR_CONTROL_UNAVAILABLE` once closed, or the signal's reason
   */
  connection({ signal }: { readonly signal?: AbortSignal } = {}): Promise<TorControl> {
    return this.#control.next(signal);
  }

  override async command(line: string, data?: string): Promise<TorReply> {
    if (this.current === undefined) {
      throw new PosternError('ERR_TOR_CONTROL_UNAVAILABLE', 'there is no connection to Tor now');
    }
    return this.current.command(line, data);
  }

  /**
   * SETEVENTS, for this connection and all that follow. While there is none it only takes note; a
   * list that Tor refuses is forgotten.
   */
  override async setEvents(names: readonly string[]): Promise<void> {
    const before = this.#events;
    const wanted = [...names];
    this.#events = wanted;
    try {
      if (this.current !== undefined) await super.setEvents(wanted);
    } catch (error) {
      const isRefused = error instanceof PosternError && error.retry === 'never';
      if (isRefused && this.#events === wanted) this.#events = before;
      throw error;
    }
  }

  /**
   * Calls back with each event and each piece of news from now on.
   *
   * @returns stops that
   */
  onEvent(listener: (event: TorEvent | TorConnectionNews) => void): () => void {
    return this.#hub.subscribe(listener);
  }

  /**
   * Tor's events and the news of the connection from this call on, across all connections. A slow
   * reader misses events as one of `TorControl.events` does. It ends after `close`.
   */
  events(): AsyncIterableIterator<TorEvent | TorConnectionNews | EventsLost> {
    return this.#hub.events();
  }

  /** Ends the connection once Tor has answered what was asked, and makes no other. Idempotent. */
  async close(): Promise<void> {
    const message = 'the connection to Tor was closed';
    this.#stop.abort(new PosternError('ERR_TOR_CONTROL_UNAVAILABLE', message));
    await this.closed;
  }

  /** `close`, which waits for no answer: what waits for a reply fails. Idempotent. */
  abort(): void {
    this.#made?.abort();
    unawaited(() => this.close());
  }

  /** The same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** One turn is one connection: dial, prepare, stand, end, wait. */
  async #run(): Promise<void> {
    const {
      firstDelayMs = limits.torControlRetryMs,
      maxDelayMs = limits.torControlRetryMaxMs,
      rng = systemRng,
    } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 1; !signal.aborted; failures += 1) {
      const { error, wasStable } = await this.#live();
      if (signal.aborted) break;
      if (wasStable) failures = 1;
      const retryMs = retryDelayMs(failures, firstDelayMs, maxDelayMs, rng);
      this.#hub.emit({ type: 'disconnected', error, retryMs });
      await this.#wait(retryMs);
    }
    this.#control.finish(signal.reason);
    this.#hub.finish(undefined);
  }

  /** Resolves when a connection has ended, or could not be made. */
  async #live(): Promise<{ readonly error: unknown; readonly wasStable: boolean }> {
    const { prepare, stableMs = STABLE_MS } = this.#options;
    const { signal } = this.#stop;
    let wasStable = false;
    let cancel = (): void => {};
    let abortion: Disposable | undefined;
    try {
      const control = await connectTorControl({ ...this.#options, signal });
      this.#made = control;
      control.onEvent((event) => this.#hub.emit(event));
      abortion = addAbortListener(signal, () => unawaited(() => control.close()));
      await prepare?.(control);
      cancel = this.#timers.after(stableMs, () => (wasStable = true));
      // Sent before anyone else's commands: what those bring about is told of.
      const subscribed = this.#events.length > 0 ? control.setEvents(this.#events) : undefined;
      this.#announce(control);
      await subscribed;
      return { error: await control.closed, wasStable };
    } catch (error) {
      this.#made?.abort();
      return { error, wasStable };
    } finally {
      this.#control.clear();
      await this.#made?.closed;
      this.#made = undefined;
      cancel();
      abortion?.[Symbol.dispose]();
    }
  }

  #announce(control: TorControl): void {
    if (this.#stop.signal.aborted) return;
    this.#control.set(control);
    this.#hub.emit({ type: 'connected' });
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        abortion[Symbol.dispose]();
        resolve();
      };
      const cancel = this.#timers.after(delayMs, done);
      const abortion = addAbortListener(this.#stop.signal, done);
    });
  }
}

/** As long as Tor takes to read its configuration and more. */
const STABLE_MS = 10_000;
