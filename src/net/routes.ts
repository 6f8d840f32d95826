import type { Duplex } from 'node:stream';
import type { Route } from '../transports/contract.ts';
import type { Dialer, DialOptions } from './dialer.ts';
import { secureClient } from './tls-client.ts';

/**
 * Goes the ways to a bridge until one gets there. Who cannot be reached by the first is not tried by the others:
 * they lead to the same place, under other names.
 *
 * @param dial the only way out
 * @param open runs a session over a connection
 * @throws PosternError what the first way came to
 */
export async function dialByRoutes(
  dial: Dialer,
  routes: readonly Route[],
  options: DialOptions,
  open: (wire: Duplex) => Promise<Duplex>,
): Promise<Duplex> {
  let failure: unknown;
  for (const { target, tls } of routes) {
    const wire = await dial(target, options);
    try {
      return await open(tls === undefined ? wire : await secureClient(wire, tls, options));
    } catch (error) {
      options.signal?.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}
