import { once } from 'node:events';
import { chmod, lstat, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { PosternError } from '../../errors.ts';
import { watchForReset } from '../../net/broken-sockets.ts';
import { listenTcp, type Listener } from '../../net/listener.ts';
import { checkSocketPath } from '../../net/socket-path.ts';
import { isSocketAlive } from '../../net/socket-probe.ts';
import { isLoopback, type Endpoint } from '../../pt/address.ts';
import { demandsSecret } from '../authentication.ts';
import type { ControlServer } from './server.ts';

/**
 * `ControlPort`: TCP. Closing the listener leaves connections that stand alone.
 *
 * @throws PosternError `ERR_CONTROL_UNPROTECTED` for an address that is not loopback while there is no
 *   secret; `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export async function openControlPort(
  server: ControlServer,
  endpoint: Endpoint,
): Promise<Listener> {
  const local = isLoopback(endpoint.host);
  if (!local && !demandsSecret(server.secrets)) {
    throw new PosternError(
      'ERR_CONTROL_UNPROTECTED',
      'the control port is not on loopback, and no authentication is configured',
    );
  }
  const from = local ? 'loopback' : 'port';
  const listener = {};
  return listenTcp(endpoint, (socket) => server.accept(socket, { from, listener }));
}

/** Who besides the owner may come to a control socket. */
export interface ControlSocketAccess {
  /** Its group may connect. */
  readonly isGroupWritable?: boolean;
  /** Others may read its directory. */
  readonly isDirectoryRelaxed?: boolean;
}

/**
 * `ControlSocket`: a Unix-domain socket, mode 0600, in a directory that is closed to other users,
 * because some systems ignore the mode of a socket (TC 4.1, method 2). A socket that a dead server
 * left behind is replaced. Closing removes it.
 *
 * @throws PosternError `ERR_CONTROL_SOCKET`, `ERR_SOCKET_PATH`, `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export async function openControlSocket(
  server: ControlServer,
  path: string,
  access: ControlSocketAccess = {},
): Promise<Pick<Listener, 'close'>> {
  await checkControlSocket(path, access);
  await removeStaleSocket(path);
  let isOpen = false;
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    if (!isOpen) {
      socket.destroy();
      return;
    }
    watchForReset(socket);
    server.accept(socket, { from: 'socket' });
  });
  listener.listen({ path, backlog: LISTEN_BACKLOG });
  try {
    await once(listener, 'listening');
    await chmod(path, access.isGroupWritable === true ? 0o660 : 0o600);
    // Those who connected before may have had no right to.
    isOpen = true;
  } catch (error) {
    listener.close();
    throw listenError(error);
  }
  listener.on('error', () => {});
  // Not awaited: `close` calls back only when the last connection has ended.
  return {
    close: async () => {
      listener.close();
    },
  };
}

/**
 * Checks that a control socket may be where it is to be.
 *
 * @throws PosternError `ERR_CONTROL_SOCKET`, `ERR_SOCKET_PATH`
 */
export async function checkControlSocket(
  path: string,
  { isGroupWritable = false, isDirectoryRelaxed = false }: ControlSocketAccess,
): Promise<void> {
  checkSocketPath(path);
  const groupBits = isGroupWritable ? 0o027 : 0o077;
  await checkDirectory(dirname(path), isDirectoryRelaxed ? 0o022 : groupBits);
}

/** @param forbiddenBits what its mode may not have */
async function checkDirectory(path: string, forbiddenBits: number): Promise<void> {
  const info = await stat(path).catch((error: unknown) => {
    throw socketError('the directory of the control socket cannot be read', error);
  });
  if (!info.isDirectory() || info.uid !== process.getuid?.() || (info.mode & forbiddenBits) !== 0) {
    throw socketError('the directory of the control socket is open to other users, or not yours');
  }
}

/** Makes room where nobody answers any more; what is not a socket is never touched. */
async function removeStaleSocket(path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isSocket())
    throw socketError('there is another file at the path of the control socket');
  if (await isSocketAlive(path)) {
    throw new PosternError('ERR_LISTEN_IN_USE', 'another server listens on the control socket');
  }
  await rm(path, { force: true });
}

function socketError(message: string, cause?: unknown): PosternError {
  return new PosternError('ERR_CONTROL_SOCKET', message, { cause });
}

function listenError(error: unknown): PosternError {
  const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return new PosternError('ERR_LISTEN_FAILED', `cannot listen on the control socket (${errno})`, {
    cause: error,
  });
}

/** Behind it in the queue nobody waits: on such a socket whoever finds it full is refused. */
const LISTEN_BACKLOG = 4096;
