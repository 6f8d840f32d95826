import { addAbortListener } from 'node:events';
import type { Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import { ChildError } from '../../parent/child-error.ts';
import { supervise, type Supervisor } from '../../parent/supervise.ts';
import { TorrcRefusal } from './complaints.ts';
import type { TorControl } from '../../tor-control/node/control.ts';
import { type RunningTor, type RunningTorStart, unavailable } from './running-tor.ts';
import { launchTor, type TorLaunch, type TorProcess } from './process.ts';
import { unawaited } from '../../unawaited.ts';

/** How a Tor of our own is started, each time. */
export interface OwnedTorOptions extends RunningTorStart, Omit<TorLaunch, 'signal' | 'torrc'> {
  /** The torrc as it is at this moment. */
  readonly torrc: () => string;
  readonly rng: Rng;
}

/** A Tor that we start, and start again when it ends unasked. */
export class OwnedTor implements RunningTor {
  readonly closed: Promise<unknown>;
  readonly #options: OwnedTorOptions;
  readonly #supervisor: Supervisor<TorProcess>;
  #process: TorProcess | undefined;
  #isEnding = false;
  /** Rejects the first start; after it failures are waited out. */
  #failStart: ((error: unknown) => void) | undefined;

  private constructor(options: OwnedTorOptions) {
    this.#options = options;
    this.#supervisor = supervise<TorProcess>({
      timers: options.timers,
      rng: options.rng,
      start: (signal) => this.#start(signal),
      onEvent: (event) => {
        if (event.type === 'running') return;
        this.#process = undefined;
        if (this.#isEnding) unawaited(() => this.#supervisor.close());
        else if (this.#failStart !== undefined) this.#failStart(event.error);
        else if (event.type === 'waiting') options.onLost(namingTor(event.error), event.delayMs);
      },
    });
    this.closed = this.#supervisor.closed.then(namingTor);
  }

  /**
   * Starts Tor and waits until it is prepared.
   *
   * @throws what `launchTor` or `prepare` throws, or the reason of `startSignal`; nothing runs then
   */
  static async start(options: OwnedTorOptions): Promise<OwnedTor> {
    const tor = new OwnedTor(options);
    const failed = new Promise<never>((_resolve, reject) => (tor.#failStart = reject));
    const { startSignal } = options;
    using _ =
      startSignal && addAbortListener(startSignal, () => tor.#failStart?.(startSignal.reason));
    try {
      await Promise.race([tor.#supervisor.child(), failed]);
      tor.#failStart = undefined;
      return tor;
    } catch (error) {
      await tor.close();
      throw error;
    }
  }

  get control(): TorControl {
    if (this.#process === undefined) throw unavailable();
    return this.#process.control;
  }

  async saveTorrc(torrc: string): Promise<void> {
    await this.#process?.saveTorrc(torrc);
  }

  async end(how: 'SHUTDOWN' | 'HALT'): Promise<void> {
    this.#isEnding = true;
    // A Tor that hangs does not notice and is killed; between two starts there is none.
    if (how === 'HALT' || this.#process === undefined) await this.close();
    else await this.#process.control.signal(how);
  }

  async close(): Promise<void> {
    await this.#supervisor.close();
  }

  async #launch(signal: AbortSignal): Promise<TorProcess> {
    try {
      return await launchTor({ ...this.#options, torrc: this.#options.torrc(), signal });
    } catch (error) {
      const isFirst = this.#failStart !== undefined;
      if (isFirst || !(error instanceof TorrcRefusal)) throw error;
      // The configuration worked before: what is in the way now, such as a port in use, may go away.
      throw new PosternError('ERR_TOR_ENDED', error.message, { cause: error });
    }
  }

  async #start(signal: AbortSignal): Promise<TorProcess> {
    const process = await this.#launch(signal);
    try {
      await this.#options.prepare(process.control);
    } catch (error) {
      await process.close();
      throw error;
    }
    this.#process = process;
    return process;
  }
}

/** An end as the supervisor of any program tells it, in our terms. */
function namingTor(error: unknown): unknown {
  return error instanceof ChildError && error.code === 'ERR_PARENT_CRASHED'
    ? new ChildError('ERR_TOR_ENDED', 'Tor ended unasked', error.end)
    : error;
}
