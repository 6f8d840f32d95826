/** What the client's and the server's half of the program have in common. */
import type { listenTcp } from '../net/listener.ts';
import { type Endpoint, isLoopback } from '../pt/address.ts';
import type { ClientContext } from '../transports/contract.ts';
import type { TransportRegistry } from '../transports/registry.ts';
import { version } from '../version.ts';
import type { Logger } from './logger.ts';
import type { Reporter } from './reporter.ts';

/** What a role is given. */
export interface RoleContext {
  readonly registry: TransportRegistry;
  readonly transportContext: ClientContext;
  readonly reporter: Reporter;
  readonly logger: Logger;
  readonly listen: typeof listenTcp;
}

/** A proxy whose start-up is reported. */
export interface RunningProxy {
  /**
   * Stops accepting; resolves when the last connection has ended that a SOCKS client asked for or whose
   * handshake succeeded. Others do not count: they may never get that far.
   */
  drain(): Promise<void>;
  /** Closes every socket at once and saves what transports still hold. Idempotent. */
  close(): Promise<void>;
}

/** Where a transport listens, as far as a log may know it. */
export function describeListener(name: string, { host, port }: Endpoint): string {
  return `${name} listens on port ${port}${isLoopback(host) ? ' of loopback' : ''}`;
}

/**
 * Ends the report of the start-up. What this program is stands before it, where tor looks for it; it is
 * no part of version 1 of the specification, whose parents ignore lines that they do not know.
 */
export function reportDone(reporter: Reporter, kind: 'CMETHODS DONE' | 'SMETHODS DONE'): void {
  const pairs = [
    ['TYPE', 'version'],
    ['IMPLEMENTATION', 'postern'],
    ['VERSION', version],
  ] as const;
  reporter.report({ kind: 'STATUS', pairs });
  reporter.report({ kind });
}
