/** How all applications come in: they ask for a connection, over SOCKS, and wait for it. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Endpoint } from '../pt/address.ts';
import { SocksReply, type SocksCredentials } from '../socks/messages.ts';
import { createSocksServer } from '../socks/server.ts';
import { closeGently } from './close-gently.ts';
import type { DialOptions } from './dialer.ts';
import { runExchange } from './exchange.ts';
import { listenTcp, type Listener, serveSocket } from './listener.ts';
import { breakOff } from './break-off.ts';
import { join } from './relay.ts';
import { WaitingConnections } from './waiting-connections.ts';

/**
 * An application that waits for its connection, whatever protocol it speaks. Its socket is closed as
 * soon as it leaves; bytes that it sent early stay in the socket.
 */
export interface Application {
  readonly socket: Duplex;
  /** As the application asked for it. */
  readonly target: Endpoint;
  /** Tells it that payload may flow. */
  succeed(): void;
  /** Tells it why not, and closes. */
  fail(error: unknown): void;
}

/** What a protocol tells applications. */
export interface Answers {
  readonly succeeded: () => Uint8Array;
  readonly failed: (error: unknown) => Uint8Array;
}

/**
 * An application whose request has been read.
 *
 * @param answers none for one that is forwarded unasked: it may have said all that it has to say before
 *   there is a connection, and its end is no sign that it left; it hears of a failure by a reset
 */
export function createApplication(
  socket: Duplex,
  target: Endpoint,
  answers?: Answers,
): Application {
  const onReadable = (): void => {
    // Readable without a byte is the end: an application that waits for an answer has left.
    if (answers !== undefined && socket.readableLength === 0) socket.destroy();
  };
  // A socket that is not read does not notice that the other end has gone.
  socket.on('readable', onReadable).on('end', onReadable);
  const answered = (): void => {
    socket.off('readable', onReadable).off('end', onReadable);
  };
  return {
    socket,
    target,
    succeed() {
      answered();
      if (answers !== undefined) socket.write(answers.succeeded());
    },
    fail(error) {
      answered();
      if (answers === undefined) breakOff(socket, new Error('not connected', { cause: error }));
      else closeGently(socket, answers.failed(error));
    },
  };
}

/** Makes the connection that an application waits for; gives up with `signal`. */
export type DialForApplication = (options: Required<DialOptions>) => Promise<Duplex>;

/**
 * Dials for an application as long as it waits, tells it how that went, and carries its bytes until both
 * sides have ended.
 *
 * @returns resolves when they have, with the failure that ended them or undefined
 * @throws what `dial` throws, after the application was told; PosternError `ERR_SOCKS_CLOSED` when it
 *   left before
 */
export function serveApplication(
  application: Application,
  dial: DialForApplication,
): Promise<Error | undefined> {
  // All that the request needed is freed when this function returns: an idle connection holds its two
  // streams and no more.
  return relayOnce(application.socket, connectApplication(application, dial));
}

function relayOnce(socket: Duplex, dialled: Promise<Duplex>): Promise<Error | undefined> {
  return new Promise((resolve, reject) => {
    dialled.then((stream) => join(socket, stream, resolve)).catch(reject);
  });
}

async function connectApplication(
  application: Application,
  dial: DialForApplication,
): Promise<Duplex> {
  const { socket } = application;
  const left = new AbortController();
  const onClose = (): void =>
    left.abort(new PosternError('ERR_SOCKS_CLOSED', 'the application left while it waited'));
  socket.once('close', onClose);
  if (socket.destroyed) onClose();
  try {
    left.signal.throwIfAborted();
    const stream = await dial({ signal: left.signal });
    application.succeed();
    return stream;
  } catch (error) {
    application.fail(error);
    throw error;
  } finally {
    socket.off('close', onClose);
  }
}

/** How applications are served. */
export interface SocksPortOptions<Accepted> {
  /** Judges the credentials, once for each connection; what it throws refuses them. */
  readonly accept: (credentials: SocksCredentials) => Accepted;
  /**
   * Serves an application, with what `accept` returned for it. It may return a promise; what it throws,
   * or the promise rejects with, costs this application.
   */
  readonly serve: (application: Application, accepted: Accepted) => unknown;
  /** Hears of each application that got no connection, and why. */
  readonly onFailure: (error: unknown) => void;
  /** How to listen; `listenTcp` when absent. */
  readonly listen?: typeof listenTcp;
}

/** How applications are served, and not where. */
export type ServeSocks<Accepted> = Omit<SocksPortOptions<Accepted>, 'listen'>;

/**
 * Listens for SOCKS5, SOCKS4 and SOCKS4a. A client that is refused has been told so when `onFailure`
 * hears of it. Past the cap on requests that are being read, the oldest of those connections is closed.
 *
 * @throws PosternError `ERR_LISTEN_*`
 */
export function listenSocks<Accepted>(
  endpoint: Endpoint,
  { listen = listenTcp, ...options }: SocksPortOptions<Accepted>,
): Promise<Listener> {
  return listen(endpoint, serveSocks(options), options.onFailure);
}

/** What `listenSocks` does with each connection, for a listener of any kind. */
export function serveSocks<Accepted>({
  accept,
  serve,
  onFailure,
}: ServeSocks<Accepted>): (socket: Socket) => Promise<unknown> {
  const waiting = new WaitingConnections();
  return (socket) => {
    if (waiting.size >= limits.pendingSocksRequests) waiting.closeOldest();
    waiting.add(socket);
    return readRequest(socket, accept)
      .finally(() => waiting.delete(socket))
      .then(([application, accepted]) =>
        serveSocket(socket, () => serve(application, accepted), onFailure),
      );
  };
}

async function readRequest<Accepted>(
  socket: Socket,
  accept: (credentials: SocksCredentials) => Accepted,
): Promise<[Application, Accepted]> {
  let accepted: Accepted;
  const server = createSocksServer({
    accept(credentials) {
      accepted = accept(credentials);
    },
  });
  const { target } = await runExchange(socket, server, { timeoutMs: limits.socksRequestTimeoutMs });
  const application = createApplication(socket, target, {
    succeeded: () => server.reply(SocksReply.succeeded),
    failed: (error) => server.reply(socksReplyOf(error)),
  });
  return [application, accepted!];
}

/** The SOCKS5 reply code that comes closest to what went wrong. */
export function socksReplyOf(error: unknown): number {
  return error instanceof PosternError ? error.socksReply : SocksReply.generalFailure;
}
