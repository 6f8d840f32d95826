/** `BandwidthRate` and `BandwidthBurst`: counts what passes, and limits it. */
import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import type { OptionValues } from '../../config/options.ts';
import type { Meter } from '../../mux/node/connection.ts';
import type { Timers } from '../../time.ts';
import { type Change, type Part, simpleChange } from '../part.ts';
import { TokenBucket } from './token-bucket.ts';

/** Counts and limits what goes through the links. Both directions have a bucket of their own. */
export class Bandwidth implements Part, Meter {
  readonly #events: Emitter<EngineEvent>;
  readonly #timers: Timers;
  readonly #now: () => number;
  readonly #read: TokenBucket;
  readonly #write: TokenBucket;
  #cancel: (() => void) | undefined;
  #counted = { read: 0, written: 0 };

  /** @param now milliseconds that only ever grow */
  constructor(events: Emitter<EngineEvent>, timers: Timers, now: () => number) {
    this.#events = events;
    this.#timers = timers;
    this.#now = now;
    this.#read = new TokenBucket(now());
    this.#write = new TokenBucket(now());
    this.#tick();
  }

  async prepare({ BandwidthRate: rate, BandwidthBurst: burst }: OptionValues): Promise<Change> {
    return simpleChange(() => {
      for (const bucket of [this.#read, this.#write]) bucket.configure(rate, burst, this.#now());
    });
  }

  async verify(): Promise<void> {}

  async close(): Promise<void> {
    this.#cancel?.();
  }

  onRead(bytes: number): number {
    this.#counted.read += bytes;
    return this.#read.take(bytes, this.#now());
  }

  onWrite(bytes: number): number {
    this.#counted.written += bytes;
    return this.#write.take(bytes, this.#now());
  }

  /** TC 3.7: each second, zeros too. */
  #tick(): void {
    this.#cancel = this.#timers.after(1000, () => {
      const counted = this.#counted;
      this.#counted = { read: 0, written: 0 };
      this.#tick();
      this.#events.emit({ type: 'bandwidth', ...counted });
    });
  }
}
