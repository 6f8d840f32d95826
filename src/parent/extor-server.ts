/**
 * An Extended ORPort: what a parent listens with, so that a server PT program can say who is connecting and
 * through which transport, before the first byte of payload.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { dirname, isAbsolute } from 'node:path';
import type { Duplex } from 'node:stream';
import { randomBytes, systemRng, type Rng } from '../crypto/rng.ts';
import { PosternError } from '../errors.ts';
import { encodeCookieFile } from '../extor/cookie-file.ts';
import { SECRET_BYTES } from '../extor/messages.ts';
import { createExtOrServer, type ExtOrMetadata } from '../extor/server.ts';
import { limits } from '../limits.ts';
import { abortable } from '../net/abortable.ts';
import { closeGently } from '../net/close-gently.ts';
import { runExchange } from '../net/exchange.ts';
import { listenTcp, type Listener } from '../net/listener.ts';
import { WaitingConnections } from '../net/waiting-connections.ts';
import { replaceFile } from '../state/replace-file.ts';
import { unawaited } from '../unawaited.ts';

/** What an Extended ORPort is opened with. */
export interface ExtOrListenOptions {
  /** The absolute path at which the cookie is written for the PT program; mode 0600. */
  readonly cookieFile: string;
  /** A port of 127.0.0.1; by default the system chooses. */
  readonly port?: number;
  /**
   * Says whether a client may connect; by default everyone may. A promise that rejects denies; one that takes
   * too long has the client's connection closed.
   */
  readonly admit?: (metadata: ExtOrMetadata) => boolean | Promise<boolean>;
  /**
   * An admitted connection: `stream` starts at the first byte of payload. It may return a promise; what it
   * throws, or the promise rejects with, costs this connection.
   */
  readonly onConnection: (stream: Duplex, metadata: ExtOrMetadata) => unknown;
  /** A connection that failed: a wrong cookie, a broken protocol, silence, a denial, an error of ours. */
  readonly onFailure?: (error: unknown) => void;
  readonly rng?: Rng;
}

/** An Extended ORPort that listens. */
export interface ExtOrListener extends Listener {
  /** For `extendedOrPort` of the server launch, together with `endpoint`. */
  readonly cookieFile: string;
}

/**
 * Writes a fresh cookie and listens on loopback. `close` and `abort` remove the cookie.
 *
 * @throws PosternError `ERR_EXTOR_COOKIE` when the cookie cannot be written, `ERR_LISTEN_*`
 */
export async function listenExtOr(options: ExtOrListenOptions): Promise<ExtOrListener> {
  const { cookieFile, port = 0, rng = systemRng, onConnection, onFailure = () => {} } = options;
  const cookie = randomBytes(rng, SECRET_BYTES);
  const content = encodeCookieFile(cookie);
  await writeCookie(cookieFile, content);
  const waiting = new WaitingConnections();
  const serve = async (socket: Socket): Promise<void> => {
    if (waiting.size >= limits.extorPendingConnections) waiting.closeOldest();
    waiting.add(socket);
    const metadata = await authenticate(socket, cookie, rng, options).finally(() =>
      waiting.delete(socket),
    );
    await onConnection(socket, metadata);
  };
  let listener: Listener;
  try {
    listener = await listenTcp({ host: '127.0.0.1', port }, serve, onFailure);
  } catch (error) {
    await removeCookie(cookieFile, content);
    throw error;
  }
  const close = async (): Promise<void> => {
    await listener.close();
    await removeCookie(cookieFile, content);
  };
  return {
    ...listener,
    cookieFile,
    close,
    abort() {
      listener.abort();
      unawaited(close);
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Resolves once payload may flow; rejects when the connection is of no use. */
async function authenticate(
  socket: Socket,
  cookie: Uint8Array,
  rng: Rng,
  { admit = () => true }: ExtOrListenOptions,
): Promise<ExtOrMetadata> {
  const machine = createExtOrServer({ cookie, rng });
  const timeoutMs = limits.extorHandshakeMs;
  const overdue = new AbortController();
  const deadline = setTimeout(() => {
    const text = `the connection was not admitted within ${timeoutMs} ms`;
    overdue.abort(new PosternError('ERR_EXTOR_TIMED_OUT', text));
  }, timeoutMs);
  try {
    const metadata = await runExchange(socket, machine, { signal: overdue.signal });
    const denial = await denialOf(metadata, admit, overdue.signal);
    if (denial !== undefined) {
      closeGently(socket, machine.deny());
      throw denial;
    }
    if (socket.destroyed) {
      throw new PosternError('ERR_EXTOR_CLOSED', 'the connection ended before it was admitted');
    }
    socket.write(machine.okay());
    return metadata;
  } finally {
    clearTimeout(deadline);
  }
}

/**
 * Why a client is denied; undefined when it is not. A hook that fails denies.
 *
 * @throws `signal.reason`
 */
async function denialOf(
  metadata: ExtOrMetadata,
  admit: NonNullable<ExtOrListenOptions['admit']>,
  signal: AbortSignal,
): Promise<PosternError | undefined> {
  try {
    if (await abortable(Promise.resolve(admit(metadata)), signal)) return undefined;
    return new PosternError('ERR_EXTOR_DENIED', 'the connection was denied');
  } catch (cause) {
    signal.throwIfAborted();
    return new PosternError('ERR_EXTOR_DENIED', 'the hook that admits clients failed', { cause });
  }
}

/** Writes the cookie in one step, readable for us alone from its first byte on. */
async function writeCookie(path: string, content: Uint8Array): Promise<void> {
  if (!isAbsolute(path)) {
    throw new PosternError('ERR_EXTOR_COOKIE', 'the path of the cookie file is not absolute');
  }
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceFile(path, content);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError('ERR_EXTOR_COOKIE', `the cookie file cannot be written (${errno})`, {
      cause: error,
    });
  }
}

/** Removes our cookie, unless another process has put its own there since. */
async function removeCookie(path: string, content: Uint8Array): Promise<void> {
  const present = await readFile(path).catch(() => undefined);
  if (present?.equals(content) === true) await rm(path, { force: true });
}
