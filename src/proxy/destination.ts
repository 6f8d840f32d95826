/** Where a server's connections go, once the transport has undone its disguise (PT 3.2.3). */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Rng } from '../crypto/rng.ts';
import { PosternError } from '../errors.ts';
import { createExtOrClient } from '../extor/client.ts';
import { decodeCookieFile } from '../extor/cookie-file.ts';
import { abortable } from '../net/abortable.ts';
import type { DialOptions } from '../net/dialer.ts';
import { createDirectDialer } from '../net/direct-dialer.ts';
import { runExchange } from '../net/exchange.ts';
import { bytesToIp, ipToBytes, type Endpoint } from '../pt/address.ts';
import type { ServerConfiguration } from '../pt/proxy-environment.ts';
import type { ClientAddress } from '../transports/contract.ts';

/**
 * Connects one client onward.
 *
 * @param transport the PT name that the client came through
 * @param wire the connection that the client came on, for its address
 * @param client who it is for, where the transport's handshake told
 */
export type Destination = (
  transport: string,
  wire: Socket,
  client: ClientAddress,
  options: DialOptions,
) => Promise<Duplex>;

/**
 * The destination that the configuration names; a non-empty Extended ORPort wins over the plain one
 * [PT-3.2.3-18]. Undefined when there is none: connections are closed then [PT-3.2.3-16].
 *
 * @throws PosternError `ERR_EXTOR_COOKIE` when the cookie file is unreadable or malformed now
 */
export async function openDestination(
  { orPort, extendedOrPort }: ServerConfiguration,
  rng: Rng,
): Promise<Destination | undefined> {
  const dial = createDirectDialer();
  if (extendedOrPort !== undefined) {
    const { endpoint, cookieFile } = extendedOrPort;
    await readCookie(cookieFile);
    return async (transport, wire, client, options) => {
      // Read again each time: a parent makes a new cookie when it restarts (tor bug 15240).
      const cookie = await abortable(readCookie(cookieFile), options.signal);
      const address = client ?? addressOf(wire);
      const userAddr = address === 'unknown' ? undefined : address;
      const stream = await dial(endpoint, options);
      const metadata = { cookie, rng, transport, ...(userAddr !== undefined && { userAddr }) };
      await runExchange(stream, createExtOrClient(metadata), options);
      return stream;
    };
  }
  if (orPort === undefined) return undefined;
  // PT 3.2.3 [PT-3.2.3-17]: payload and nothing else.
  return (_transport, _wire, _client, options) => dial(orPort, options);
}

async function readCookie(file: string): Promise<Buffer> {
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError('ERR_EXTOR_COOKIE', `the cookie file cannot be read (${errno})`, {
      cause: error,
    });
  }
  return decodeCookieFile(content);
}

/** Where the client connects from; undefined when it has gone already. */
function addressOf(wire: Socket): Endpoint | undefined {
  const { remoteAddress, remotePort } = wire;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  // A link-local address comes with its zone, which means nothing to the parent.
  const bytes = ipToBytes(remoteAddress.replace(/%.*$/, ''));
  if (bytes === undefined) return undefined;
  const host = bytesToIp(bytes);
  // An IPv4 client of a dual-stack listener is still an IPv4 client.
  return { host: host.replace(/^::ffff:(?=[0-9.]+$)/, ''), port: remotePort };
}
