import type { Writable } from 'node:stream';
import type { Emitter } from '../bytes/emitter.ts';
import type { EngineEvent } from '../control/engine.ts';
import type { Clock, Timers } from '../time.ts';
import type { LocalDefaults } from '../config/configuration.ts';
import type { ConfigStore, TorrcFile } from '../config/store.ts';
import type { Rng } from '../crypto/rng.ts';
import type { Endpoint } from '../pt/address.ts';
import type { TransportRegistry } from '../transports/registry.ts';
import type { Engine, EngineEndpoints } from './engine.ts';
import type { Log } from './log.ts';
import type { Places } from './places.ts';

/** What a daemon is started with, whichever engine its torrc asks for. */
export interface DaemonOptions {
  readonly torrc: TorrcFile;
  readonly localDefaults?: LocalDefaults;
  /** What `~` stands for in paths. */
  readonly home: string;
  /** The environment from which children inherit a few variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For `Log … stdout`. */
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** How a Tor starts this program as a managed proxy, for its `builtin` transports. */
  readonly ownCommand: readonly string[];
  /** Gives the start up, which rejects with the signal's reason. Without effect afterwards. */
  readonly startSignal?: AbortSignal;
  readonly rng?: Rng;
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly registry?: TransportRegistry;
}

/** What a daemon gives its engine. */
export interface EngineHost {
  readonly options: DaemonOptions;
  readonly store: ConfigStore;
  readonly log: Log;
  readonly events: Emitter<EngineEvent>;
  readonly places: Places;
  /** Aborted when nothing is to be started any more: the start is given up, or the daemon is ending. */
  readonly stopping: AbortSignal;
}

/** An engine that can be built: what its torrc says is known, and nothing runs. */
export interface EnginePlan {
  readonly store: ConfigStore;
  readonly build: (host: EngineHost) => Engine;
}

/** Where a daemon listens: port 0 has become a number. */
export interface DaemonEndpoints extends EngineEndpoints {
  readonly control: readonly Endpoint[];
}
