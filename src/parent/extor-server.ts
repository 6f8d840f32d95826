/**
 * An Extended ORPort: what a parent listens with, so that a server PT program can say who is connecting and
 * through which transport, before the first byte of payload.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { dirname, isAbsolute } from 'node:path';
import type { Duplex } from 'node:stream';
import { randomBytes, systemRng, type Rng } from '../crypto/rng.ts';
import { PosternError } from '../errors.ts';
import { encodeCookieFile } from '../extor/cookie-file.ts';
import { SECRET_BYTES } from '../extor/messages.ts';
import { createExtOrServer, type ExtOrMetadata, type ExtOrServerAction } from '../extor/server.ts';
import { limits } from '../limits.ts';
import { listenTcp, type Listener } from '../net/listener.ts';

/** What an Extended ORPort is opened with. */
export interface ExtOrListenOptions {
  /** The absolute path at which the cookie is written for the PT program; mode 0600. */
  readonly cookieFile: string;
  /** A port of 127.0.0.1; by default the system chooses. */
  readonly port?: number;
  /** Says whether a client may connect; everyone may by default. A rejection denies as well. */
  readonly admit?: (metadata: ExtOrMetadata) => boolean | Promise<boolean>;
  /** An admitted connection: `stream` starts at the first byte of payload. */
  readonly onConnection: (stream: Duplex, metadata: ExtOrMetadata) => void;
  /** A connection that came to nothing: a wrong cookie, a broken protocol, silence, a denial. */
  readonly onFailure?: (error: unknown) => void;
  readonly rng?: Rng;
}

/** An Extended ORPort that listens. */
export interface ExtOrListener extends Listener {
  /** For `extendedOrPort` of the server launch, together with `endpoint`. */
  readonly cookieFile: string;
}

/**
 * Writes a fresh cookie and listens on loopback. `close` removes the cookie.
 *
 * @throws PosternError `ERR_EXTOR_COOKIE` when the cookie cannot be written, `ERR_LISTEN_*`
 */
export async function listenExtOr(options: ExtOrListenOptions): Promise<ExtOrListener> {
  const { cookieFile, port = 0, rng = systemRng } = options;
  const cookie = randomBytes(rng, SECRET_BYTES);
  await writeCookie(cookieFile, encodeCookieFile(cookie));
  let pending = 0;
  let listener: Listener;
  try {
    listener = await listenTcp({ host: '127.0.0.1', port }, (socket) => {
      if (pending >= limits.extorPendingConnections) {
        socket.destroy();
        return;
      }
      pending += 1;
      authenticate(socket, cookie, rng, options)
        .finally(() => (pending -= 1))
        .then(
          (metadata) => options.onConnection(socket, metadata),
          options.onFailure ?? (() => {}),
        );
    });
  } catch (error) {
    await rm(cookieFile, { force: true });
    throw error;
  }
  return {
    ...listener,
    cookieFile,
    async close() {
      await listener.close();
      await rm(cookieFile, { force: true });
    },
  };
}

/** Resolves once payload may flow; rejects when the connection is of no use, which it closes. */
async function authenticate(
  socket: Socket,
  cookie: Uint8Array,
  rng: Rng,
  { admit = () => true }: ExtOrListenOptions,
): Promise<ExtOrMetadata> {
  const machine = createExtOrServer({ cookie, rng });
  const deadline = setTimeout(() => socket.destroy(), limits.extorHandshakeMs);
  try {
    const { metadata, leftover } = await exchange(socket, (chunk) =>
      chunk === undefined ? machine.start() : machine.receive(chunk),
    );
    const denial = await denialOf(metadata, admit);
    if (denial !== undefined) {
      socket.write(machine.deny());
      throw denial;
    }
    if (socket.destroyed) throw closedEarly();
    socket.write(machine.okay());
    if (leftover.length > 0) socket.unshift(leftover);
    return metadata;
  } catch (error) {
    // What was answered goes out first.
    socket.end(() => socket.destroy());
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

/** Why a client is denied; undefined when it is not. A hook that fails denies. */
async function denialOf(
  metadata: ExtOrMetadata,
  admit: NonNullable<ExtOrListenOptions['admit']>,
): Promise<PosternError | undefined> {
  try {
    if (await admit(metadata)) return undefined;
    return new PosternError('ERR_EXTOR_DENIED', 'the connection was denied');
  } catch (cause) {
    return new PosternError('ERR_EXTOR_DENIED', 'the hook that admits clients failed', { cause });
  }
}

function closedEarly(): PosternError {
  return new PosternError('ERR_EXTOR_CLOSED', 'the connection ended before it was admitted');
}

type Done = Extract<ExtOrServerAction, { type: 'done' }>;

/** Runs the machine over the socket up to DONE; the socket is then as if nobody had read from it. */
function exchange(
  socket: Socket,
  step: (chunk?: Uint8Array) => readonly ExtOrServerAction[],
): Promise<Done> {
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const settle = (settlement: () => void): void => {
      isSettled = true;
      socket.off('readable', onReadable).off('end', onClose).off('close', onClose);
      settlement();
    };
    const run = (actions: readonly ExtOrServerAction[]): void => {
      for (const action of actions) {
        if (action.type === 'send') socket.write(action.bytes);
        else if (action.type === 'failed') settle(() => reject(action.error));
        else settle(() => resolve(action));
      }
    };
    // 'readable' and not 'data': the stream's next reader may then be of any kind.
    const onReadable = (): void => {
      let chunk: Buffer | null;
      while (!isSettled && (chunk = socket.read() as Buffer | null) !== null) run(step(chunk));
    };
    const onClose = (): void => settle(() => reject(closedEarly()));
    socket.on('readable', onReadable).on('end', onClose).on('close', onClose);
    run(step());
  });
}

/** Writes the cookie in one step, readable for us alone from its first byte on. */
async function writeCookie(path: string, content: Uint8Array): Promise<void> {
  if (!isAbsolute(path)) {
    throw new PosternError('ERR_EXTOR_COOKIE', 'the path of the cookie file is not absolute');
  }
  const temporary = `${path}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await rm(temporary, { force: true });
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError('ERR_EXTOR_COOKIE', `the cookie file cannot be written (${errno})`, {
      cause: error,
    });
  }
}
