/** What the client's and the server's half of the program have in common. */
import type { listenTcp } from '../net/listener.ts';
import type { ClientEnvironment } from '../transports/contract.ts';
import type { TransportRegistry } from '../transports/registry.ts';
import type { Logger } from './logger.ts';
import type { Reporter } from './reporter.ts';

/** What a role is given. */
export interface RoleContext {
  readonly registry: TransportRegistry;
  readonly environment: ClientEnvironment;
  readonly reporter: Reporter;
  readonly logger: Logger;
  readonly listen: typeof listenTcp;
}

/** A proxy whose start-up is reported. */
export interface RunningProxy {
  /**
   * Stops accepting; resolves when the last connection has ended that a SOCKS client has asked for
   * or that has proven itself. Others do not count: they may never come to anything.
   */
  drain(): Promise<void>;
  /** Closes every socket at once and saves what transports still hold. Idempotent. */
  close(): Promise<void>;
}
