import type { Duplex } from 'node:stream';
import { beginConnection, countFailedHandshake } from '../tallies.ts';
import type { ClientTls, Route, SessionFactory } from '../transports/contract.ts';
import { abortable } from './abortable.ts';
import type { Dialer, DialOptions } from './dialer.ts';
import { SILENT_WEB_SERVER, watchSilence } from './silence.ts';
import { secureClient } from './tls-client.ts';
import { openTransportStream } from './transport-stream.ts';

/** Who hears of a transport's handshakes. */
export interface ThroughTransportOptions {
  /** Hears what it can mean that the other end says nothing. */
  readonly onSilence?: (text: string) => void;
  /** The transport's name, where its handshakes are to be counted. */
  readonly transport?: string;
}

/** A dialer that reaches its targets through a transport, whose other end decides what they mean. */
export function throughTransport(
  dial: Dialer,
  createSession: SessionFactory,
  { onSilence = () => {}, transport }: ThroughTransportOptions = {},
): Dialer {
  const watch = (handshake: Promise<Duplex>, silence?: string): Promise<Duplex> =>
    counted(watchSilence(handshake, onSilence, silence), transport);
  return async (target, options = {}) => {
    if (createSession.ready !== undefined) await abortable(createSession.ready, options.signal);
    if (createSession.routes !== undefined) {
      const open = async (wire: Duplex, tls: ClientTls | undefined): Promise<Duplex> => {
        const secured = tls === undefined ? wire : await secureClient(wire, tls, options);
        return openTransportStream(secured, createSession(target), options);
      };
      return dialByRoutes(dial, createSession.routes(), options, (wire, tls) =>
        watch(open(wire, tls), SILENT_WEB_SERVER),
      );
    }
    // The session first: a transport makes its ephemeral keys before the connection exists, so that nobody can time it.
    const session = createSession(target);
    const wire = await dial(target, options);
    return watch(openTransportStream(wire, session, options));
  };
}

/**
 * Tries the ways to a bridge until one gets there. If the bridge cannot even be reached by the first, the others
 * are not tried: they lead to the same place, under other names.
 *
 * @param dial the only way out
 * @param open speaks TLS over a connection, where that is wanted, and runs a session over it
 * @throws PosternError what the last way that was tried came to
 */
async function dialByRoutes(
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
      failure = error;
    }
  }
  throw failure;
}

async function counted(handshake: Promise<Duplex>, transport: string | undefined): Promise<Duplex> {
  if (transport === undefined) return handshake;
  try {
    const stream = await handshake;
    stream.once('close', beginConnection('client', transport));
    return stream;
  } catch (error) {
    countFailedHandshake('client', transport, error);
    throw error;
  }
}
