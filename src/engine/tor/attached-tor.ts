import type { TorControl } from '../../tor-control/node/control.ts';
import {
  keepTorControl,
  type KeepTorControlOptions,
  type KeptTorControl,
} from '../../tor-control/node/keep.ts';
import { type RunningTor, type RunningTorStart, unavailable } from './running-tor.ts';
import { unawaited } from '../../unawaited.ts';

/** How to reach a Tor that runs already. */
export type AttachedTorOptions = RunningTorStart & KeepTorControlOptions;

/** A Tor that somebody else runs: we control it, and connect again when it was away. */
export class AttachedTor implements RunningTor {
  readonly closed: Promise<void>;
  readonly #kept: KeptTorControl;

  private constructor(kept: KeptTorControl) {
    this.#kept = kept;
    this.closed = kept.closed;
  }

  /**
   * Connects and waits until Tor is prepared.
   *
   * @throws what `connectTorControl` or `prepare` throws, or the reason of `startSignal`; there is no
   *   connection then
   */
  static async start(options: AttachedTorOptions): Promise<AttachedTor> {
    const kept = keepTorControl(options);
    let isConnected = false;
    const failed = new Promise<never>((_resolve, reject) => {
      kept.onEvent((event) => {
        if (event.type !== 'disconnected') return;
        if (isConnected) options.onLost(event.error, event.retryMs);
        else reject(event.error);
      });
    });
    try {
      const { startSignal: signal } = options;
      await Promise.race([kept.connection({ ...(signal && { signal }) }), failed]);
      isConnected = true;
      return new AttachedTor(kept);
    } catch (error) {
      await kept.close();
      throw error;
    }
  }

  get control(): TorControl {
    if (this.#kept.current === undefined) throw unavailable();
    return this.#kept.current;
  }

  /** Its torrc is its own business. */
  async saveTorrc(): Promise<void> {}

  async end(how: 'SHUTDOWN' | 'HALT'): Promise<void> {
    await this.control.signal(how);
    // Not awaited: Tor may keep the connection until it is gone.
    unawaited(() => this.close());
  }

  async close(): Promise<void> {
    await this.#kept.close();
  }
}
