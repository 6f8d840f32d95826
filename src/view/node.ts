/** Keeps a view of a daemon, over a TC connection that is renewed when it is lost. */
import { setTimeout as wait } from 'node:timers/promises';
import type { AddressMapping, EventKind, Signal } from '../control/messages.ts';
import type { ControlClient } from '../control/node/client.ts';
import { PosternError } from '../errors.ts';
import { type Clock, systemClock } from '../time.ts';
import { ViewModel } from './model.ts';

/** What a follower is given. */
export interface FollowerOptions {
  /** Connected already: the caller has dealt with a failure to connect. */
  readonly client: ControlClient;
  /** Something has changed. */
  readonly onChange: () => void;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

const kinds: readonly EventKind[] = ['circuit', 'stream', 'orConnection', 'bandwidth', 'log'];
const RETRY_MS = 1000;
const MAPPINGS_MS = 5000;

/** Follows one daemon until its signal is aborted. */
export class Follower {
  readonly model: ViewModel = new ViewModel();
  mappings: readonly AddressMapping[] = [];
  /** Why there is no connection; undefined while there is one. */
  problem: string | undefined;
  readonly #options: FollowerOptions;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** Resolves when the signal is aborted, and never rejects before. */
  async run(): Promise<void> {
    const { client, signal } = this.#options;
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      try {
        if (!isFirst) await client.reconnect({ signal });
        await this.#follow();
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof PosternError)) throw error;
        this.#tell(error.message);
      }
      await wait(RETRY_MS, undefined, { signal }).catch(() => {});
    }
    await client.close();
  }

  /** Asks the daemon for something. @throws PosternError what it, or the lack of a connection, says */
  async sendSignal(name: Signal): Promise<void> {
    await this.#options.client.sendSignal(name, { signal: this.#options.signal });
  }

  async #follow(): Promise<void> {
    const { client, signal, onChange, clock = systemClock } = this.#options;
    const events = client.events({ signal });
    await client.setEvents(kinds, { signal });
    this.model.clear();
    this.#tell(undefined);
    // What stood before this connection did; its lines are log events.
    await client.sendSignal('dump', { signal });
    const over = new AbortController();
    const polling = this.#pollMappings(AbortSignal.any([signal, over.signal]));
    try {
      for await (const event of events) {
        this.model.apply(event, clock.epochMs());
        onChange();
      }
    } finally {
      over.abort();
      await polling;
    }
  }

  async #pollMappings(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        this.mappings = await this.#options.client.mappings({ signal });
        this.#options.onChange();
        await wait(MAPPINGS_MS, undefined, { signal });
      }
    } catch {
      // The connection is lost, which the events tell, or it is over.
    }
  }

  #tell(problem: string | undefined): void {
    this.problem = problem;
    this.#options.onChange();
  }
}
