/** Accepts connections for transports that are only a handshake, with TLS under it or not. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Exchange } from '../bytes/exchange.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { ClientAddress, ServerTls, Session } from '../transports/contract.ts';
import { runExchange } from './exchange.ts';
import { createTlsAcceptor, type TlsAcceptor } from './tls-server.ts';

/** The TLS of one listener: one for each set of certificates that stands behind it. */
export class TlsAcceptors {
  readonly #notify: (notice: string) => void;
  readonly #acceptors = new Map<ServerTls, Promise<TlsAcceptor>>();

  constructor(notify: (notice: string) => void) {
    this.#notify = notify;
  }

  /** @throws PosternError `ERR_TLS_CERTIFICATE` */
  of(tls: ServerTls | undefined): Promise<TlsAcceptor> | undefined {
    if (tls === undefined) return undefined;
    let acceptor = this.#acceptors.get(tls);
    if (acceptor === undefined) {
      // The certificates from before are not used any more.
      this.close();
      this.#acceptors.set(tls, (acceptor = createTlsAcceptor(tls, this.#notify)));
    }
    return acceptor;
  }

  close(): void {
    for (const acceptor of this.#acceptors.values()) {
      acceptor.then(
        (opened) => opened.close(),
        () => {},
      );
    }
    this.#acceptors.clear();
  }
}

/** How the connections of a server begin. */
export interface Beginning {
  readonly handshake: Exchange<ClientAddress>;
  /** TLS under it, if any. */
  readonly acceptor: Promise<TlsAcceptor> | undefined;
  /** Makes what a connection gets that speaks no TLS where it should; it is closed where there is none. */
  readonly withoutTls: (() => Session | undefined) | undefined;
  /** Is given what gives the connection up. */
  readonly onBegin: (reject: () => void) => void;
}

/**
 * Runs a handshake over an accepted connection, under TLS if there is any.
 *
 * @returns the wire itself, or that inside of TLS, and whom it is for
 * @throws PosternError what came of it; the peer is dealt with
 */
export async function openByHandshake(
  wire: Socket,
  { handshake, acceptor, withoutTls, onBegin }: Beginning,
): Promise<{ readonly stream: Duplex; readonly client: ClientAddress }> {
  onBegin(() => wire.destroy());
  if (acceptor === undefined) return { stream: wire, client: await runExchange(wire, handshake) };
  const tls = await acceptor;
  if (await runExchange(wire, createPeek(), { timeoutMs: limits.tlsHandshakeMs })) {
    const stream = await tls.secure(wire);
    return { stream, client: await runExchange(stream, handshake) };
  }
  const plain = withoutTls?.()?.onlyHandshake;
  if (plain === undefined) wire.destroy();
  else await runExchange(wire, plain);
  throw new PosternError('ERR_HANDSHAKE_REJECTED', 'the client speaks no TLS');
}

/** Looks at the first byte, and takes nothing: whether it is one of a ClientHello, of whatever version. */
function createPeek(): Exchange<boolean> {
  return {
    peer: 'the client',
    codes: { closed: 'ERR_HANDSHAKE_CLOSED', timedOut: 'ERR_HANDSHAKE_TIMED_OUT' },
    start: () => [],
    receive(chunk) {
      const isHello = chunk[0] === 0x16 || chunk[0]! >= 0x80;
      return [{ type: 'done', result: isHello, leftover: Buffer.from(chunk) }];
    },
  };
}
