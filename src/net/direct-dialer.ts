import { lookup } from 'node:dns/promises';
import { addAbortListener } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { PosternError, type ErrorCode } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Endpoint } from '../pt/address.ts';
import { abortable } from './abortable.ts';
import { watchForReset } from './broken-sockets.ts';
import type { Dialer, DialOptions } from './dialer.ts';
import { keepAlive } from './keep-alive.ts';

/** What a direct dialer may be given. */
export interface DirectDialerOptions {
  /** The source address of IPv4 connections (`TOR_PT_OUTBOUND_BIND_ADDRESS_V4`). */
  readonly bindV4?: string;
  /** The source address of IPv6 connections (`TOR_PT_OUTBOUND_BIND_ADDRESS_V6`). */
  readonly bindV6?: string;
  /** How long one TCP connection may take to be established. */
  readonly timeoutMs?: number;
}

/**
 * TCP straight to the target; the system's resolver for host names, every address in its order.
 *
 * The sockets have what Go's have, which is what obfs4proxy's look like on the wire: no Nagle delay, and
 * keep-alive as near as it gets. They come with an error listener.
 *
 * @throws (from the dialer) PosternError `ERR_DIAL_*`
 */
export function createDirectDialer(options: DirectDialerOptions = {}): Dialer {
  return async (target, { signal } = {}) => {
    let failure: unknown;
    const isAddress = isIP(target.host) !== 0;
    const addresses = isAddress ? [target.host] : await abortable(resolve(target.host), signal);
    for (const address of addresses) {
      try {
        return await connectTcp({ host: address, port: target.port }, options, signal);
      } catch (error) {
        signal?.throwIfAborted();
        failure ??= error;
      }
    }
    throw failure;
  };
}

async function resolve(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new PosternError('ERR_DIAL_NAME_NOT_FOUND', 'the host name does not resolve', {
      cause: error,
    });
  }
}

function connectTcp(
  target: Endpoint,
  { bindV4, bindV6, timeoutMs = limits.dialTimeoutMs }: DirectDialerOptions,
  signal: DialOptions['signal'],
): Promise<Socket> {
  const localAddress = isIP(target.host) === 4 ? bindV4 : bindV6;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = connect({
      ...target,
      ...(localAddress !== undefined && { localAddress }),
      noDelay: true,
      allowHalfOpen: true,
    });
    const deadline = setTimeout(() => {
      settle(() =>
        reject(new PosternError('ERR_DIAL_TIMED_OUT', `no TCP connection within ${timeoutMs} ms`)),
      );
      socket.destroy();
    }, timeoutMs);
    const abortion =
      signal &&
      addAbortListener(signal, () => {
        settle(() => reject(signal.reason));
        socket.destroy();
      });
    const settle = (settlement: () => void): void => {
      clearTimeout(deadline);
      abortion?.[Symbol.dispose]();
      settlement();
    };
    // The first settlement wins. An error once the connection is open is for its new owner; if nobody listens, it
    // must not end the process.
    const onError = (error: Error): void => settle(() => reject(dialError(error)));
    socket.on('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError).on('error', ignore);
      keepAlive(socket);
      watchForReset(socket);
      settle(() => resolve(socket));
    });
  });
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'ERR_DIAL_REFUSED',
  ECONNRESET: 'ERR_DIAL_REFUSED',
  EHOSTUNREACH: 'ERR_DIAL_HOST_UNREACHABLE',
  EHOSTDOWN: 'ERR_DIAL_HOST_UNREACHABLE',
  ENETUNREACH: 'ERR_DIAL_NETWORK_UNREACHABLE',
  ENETDOWN: 'ERR_DIAL_NETWORK_UNREACHABLE',
  EAFNOSUPPORT: 'ERR_DIAL_NETWORK_UNREACHABLE',
  ETIMEDOUT: 'ERR_DIAL_TIMED_OUT',
  EACCES: 'ERR_DIAL_NOT_ALLOWED',
  EPERM: 'ERR_DIAL_NOT_ALLOWED',
  EADDRNOTAVAIL: 'ERR_DIAL_NO_LOCAL_PORT',
  EADDRINUSE: 'ERR_DIAL_NO_LOCAL_PORT',
};

/** An error of the operating system as one of ours; its text carries no address. */
function dialError(error: NodeJS.ErrnoException): PosternError {
  const errno = error.code ?? 'unknown error';
  const code =
    error.syscall === 'bind' ? 'ERR_DIAL_BIND_FAILED' : (CODES[errno] ?? 'ERR_DIAL_FAILED');
  return new PosternError(code, `the connection failed (${errno})`, { cause: error });
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
