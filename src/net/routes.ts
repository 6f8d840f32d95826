import type { Duplex } from 'node:stream';
import type { ClientTls, Route } from '../transports/contract.ts';
import type { Dialer, DialOptions } from './dialer.ts';

/**
 * Goes the ways to a bridge until one gets there. Who cannot be reached by the first is not tried by the others:
 * they lead to the same place, under other names.
 *
 * @param dial the only way out
 * @param open speaks TLS over a connection, where that is wanted, and runs a session over it
 * @throws PosternError what the first way came to
 */
export async function dialByRoutes(
  dial: Dialer,
  routes: readonly Route[],
  options: DialOptions,
  open: (wire: Duplex, tls: ClientTls | undefined) => Promise<Duplex>,
): Promise<Duplex> {
  let failure: unknown;
  for (const { target, tls } of routes) {
    const wire = await dial(target, options);
    try {
      return await open(wire, tls);
    } catch (error) {
      options.signal?.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}
