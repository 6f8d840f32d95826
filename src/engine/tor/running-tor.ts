import { PosternError } from '../../errors.ts';
import type { TorControl } from '../../tor-control/node/control.ts';

/** A Tor that the engine relies on: one that it started, or one that ran already. */
export interface RunningTor {
  /**
   * The control connection of the Tor that runs.
   *
   * @throws PosternError `ERR_TOR_UNAVAILABLE` while there is none
   */
  readonly control: TorControl;
  /** Resolves when there will be no Tor any more: with the reason, or undefined when it was asked for. */
  readonly closed: Promise<unknown>;
  /** Writes what is in force into the torrc of a Tor that we started: Tor reads it at RELOAD. */
  saveTorrc(torrc: string): Promise<void>;
  /** Ends Tor, in its own way and time; its end is no failure then. */
  end(how: 'SHUTDOWN' | 'HALT'): Promise<void>;
  /** Stops the Tor that we started, or leaves one that ran already. Idempotent. */
  close(): Promise<void>;
}

/** What it tells its engine. */
export interface RunningTorHooks {
  /** Tor runs, or runs again: tells it what it must know before anyone else asks for something. */
  readonly prepare: (control: TorControl) => Promise<void>;
  /** Tor is gone, or cannot be reached; the next attempt comes after `retryMs`. */
  readonly onLost: (error: unknown, retryMs: number) => void;
}

/** What the first start takes besides. */
export interface RunningTorStart extends RunningTorHooks {
  /** Gives it up: it rejects with the reason. Without effect afterwards. */
  readonly startSignal: AbortSignal | undefined;
}

/** What is thrown while there is no Tor. */
export function unavailable(): PosternError {
  return new PosternError('ERR_TOR_UNAVAILABLE', 'Tor does not run at this moment');
}
