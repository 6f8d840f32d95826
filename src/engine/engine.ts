/** What stands behind a daemon: the tunnel that is built in, or a real Tor. */
import type { Configuration } from '../config/configuration.ts';
import type { TorrcPiece } from '../config/torrc.ts';
import type { ControlEngine } from '../control/engine.ts';
import type { Endpoint } from '../pt/address.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import type { Change } from './part.ts';

/** Where an engine takes connections: port 0 has become a number. */
export interface EngineEndpoints {
  readonly socks: readonly Endpoint[];
  readonly httpTunnel: readonly Endpoint[];
  /** Where Prometheus finds figures. */
  readonly metrics?: readonly Endpoint[];
  /** Where links arrive without a transport. */
  readonly orPort?: Endpoint;
}

/** An engine that takes nothing new, and still carries the streams of others. */
export interface Draining {
  /** Resolves when nothing is left. Never rejects. */
  readonly over: Promise<unknown>;
  /** After how long it is ended nonetheless; without it the engine sees to that itself. */
  readonly longestMs?: number;
}

/**
 * What differs between the engines. The daemon in front of it has the configuration, the log and the
 * control ports, and knows when to end; it calls `prepare` for one change after another.
 */
export interface Engine extends Pick<ControlEngine, 'mapAddress' | 'mappings' | 'getConf'> {
  readonly endpoints: EngineEndpoints;
  /** What clients need to use it as a bridge; a wildcard address stands for this machine’s. */
  readonly bridgeLines: readonly BridgeLine[];
  /** Whether it ran before the daemon did, which then leaves it alone unless a controller ends it. */
  readonly isShared: boolean;

  /**
   * Does all that `start` does but listen, dial and start programs, and undoes it.
   *
   * @throws PosternError what would be in the way
   */
  verify(first: Configuration): Promise<void>;

  /**
   * Prepares the configuration of the start. To be called once, before all other methods.
   *
   * @param onEnded is called when it cannot go on, with the reason, or has ended as it was asked to
   * @throws PosternError what is in the way; `close` is called then
   */
  start(first: Configuration, onEnded: (reason?: unknown) => void): Promise<Change>;

  /**
   * Prepares a change. The engine is asked last: what a Tor has accepted cannot be undone.
   *
   * @param changed the options and groups that differ, or may differ
   * @throws PosternError what is in the way; nothing has changed then
   */
  prepare(next: Configuration, changed: ReadonlySet<string>): Promise<Change>;

  /** What a reload does besides, once the change is in force. */
  completeReload(current: Configuration): Promise<void>;

  /** Saves options that are not in our torrc, where the engine has any. */
  saveElsewhere(): Promise<void>;

  /** SIGNAL debug; ends with the next reload. */
  debug(current: Configuration): Promise<void>;

  /** Writes what is open to the log. */
  dump(): void | Promise<void>;

  /** Takes nothing new any more. @returns undefined when nothing has to be waited for */
  drain(current: Configuration): Promise<Draining | undefined>;

  /** Ends what would outlive `close`, now. */
  halt(): Promise<void>;

  /**
   * An error about configuration lines, as the user is to read it.
   *
   * @param lines as the user wrote them
   */
  explain(lines: readonly TorrcPiece[], error: unknown): unknown;

  /** Closes everything now. Idempotent. */
  close(): Promise<void>;
}
