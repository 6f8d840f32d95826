import type { Writable } from 'node:stream';
import type { Clock, Timers } from '../time.ts';
import type { LocalDefaults } from '../config/configuration.ts';
import type { TorrcFile } from '../config/store.ts';
import type { ControlEngine } from '../control/engine.ts';
import type { Signal } from '../control/messages.ts';
import type { Rng } from '../crypto/rng.ts';
import type { Endpoint } from '../pt/address.ts';
import type { TransportRegistry } from '../transports/registry.ts';

/** What an engine is started with. */
export interface EngineOptions {
  readonly torrc: TorrcFile;
  readonly localDefaults?: LocalDefaults;
  /** What `~` stands for in paths. */
  readonly home: string;
  /** Where children get the few variables from that they inherit. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For `Log … stdout`. */
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly rng?: Rng;
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly registry?: TransportRegistry;
}

/** What a daemon is started with, whichever engine its torrc asks for. */
export interface DaemonOptions extends EngineOptions {
  /** How another program starts this one as a managed proxy: what `builtin` means to a Tor. */
  readonly ownCommand: readonly string[];
  /** Gives up waiting for a Tor that does not come up; the start rejects with its reason. */
  readonly startSignal?: AbortSignal;
}

/** A running daemon: an engine and the control server in front of it. */
export interface Daemon extends ControlEngine {
  /**
   * Settles, and never rejects, when it is to end, asked by a controller or by `obey`, or because it
   * cannot go on, and then with the reason: `close` comes next.
   */
  readonly ended: Promise<unknown>;
  /** Where applications and controllers connect: port 0 has become a number. */
  readonly endpoints: DaemonEndpoints;
  /** Does what a Unix signal to this process asks for, as far as it is the daemon’s own business. */
  obey(signal: Signal): Promise<unknown>;
  /** Closes everything now; controllers still get the replies that they wait for. Idempotent. */
  close(): Promise<void>;
}

/** Where a daemon listens. */
export interface DaemonEndpoints {
  readonly socks: readonly Endpoint[];
  readonly httpTunnel: readonly Endpoint[];
  readonly control: readonly Endpoint[];
}
