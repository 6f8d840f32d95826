import { once } from 'node:events';
import { chmod, lstat, rm, stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { PosternError } from '../errors.ts';
import type { OnFault } from '../unawaited.ts';
import { type AnyListener, createListener } from './listener.ts';
import { checkSocketPath } from './socket-path.ts';
import { isSocketAlive } from './socket-probe.ts';

/** Who besides the owner may come to a Unix-domain socket. */
export interface SocketAccess {
  /** Its group may connect. */
  readonly isGroupWritable?: boolean;
  /** Everybody may. */
  readonly isWorldWritable?: boolean;
  /** Others may read its directory. */
  readonly isDirectoryRelaxed?: boolean;
}

/**
 * Listens on a Unix-domain socket, mode 0600 unless others may come, in a directory that is closed to those
 * who may not, because some systems ignore the mode of a socket (TC 4.1, method 2). A socket that a dead
 * server left behind is replaced. Closing removes it.
 *
 * @param onConnection like that of `listenTcp`
 * @throws PosternError `ERR_UNIX_SOCKET`, `ERR_SOCKET_PATH`, `ERR_LISTEN_IN_USE`, `ERR_LISTEN_FAILED`
 */
export async function listenUnix(
  path: string,
  access: SocketAccess,
  onConnection: (socket: Socket) => unknown,
  onFault?: OnFault,
): Promise<AnyListener> {
  await checkUnixSocket(path, access);
  await removeStaleSocket(path);
  let isOpen = false;
  const { server, listener } = createListener((socket) => {
    if (isOpen) return onConnection(socket);
    socket.destroy();
    return undefined;
  }, onFault);
  server.listen({ path, backlog: LISTEN_BACKLOG });
  try {
    await once(server, 'listening');
    await chmod(path, modeOf(access));
    // Those who connected before may have had no right to.
    isOpen = true;
    return listener;
  } catch (error) {
    await listener.close();
    throw listenError(error);
  }
}

/**
 * Checks that a socket may be where it is to be.
 *
 * @throws PosternError `ERR_UNIX_SOCKET`, `ERR_SOCKET_PATH`
 */
export async function checkUnixSocket(path: string, access: SocketAccess): Promise<void> {
  checkSocketPath(path);
  await checkDirectory(dirname(path), forbiddenBits(access));
}

/** Behind it in the queue nobody waits: on such a socket whoever finds it full is refused. */
const LISTEN_BACKLOG = 4096;

function modeOf({ isGroupWritable, isWorldWritable }: SocketAccess): number {
  if (isWorldWritable === true) return 0o666;
  return isGroupWritable === true ? 0o660 : 0o600;
}

/** What the mode of the directory may not have. */
function forbiddenBits(access: SocketAccess): number {
  if (access.isDirectoryRelaxed === true || access.isWorldWritable === true) return 0o022;
  return access.isGroupWritable === true ? 0o027 : 0o077;
}

async function checkDirectory(path: string, forbidden: number): Promise<void> {
  const info = await stat(path).catch((error: unknown) => {
    throw socketError('the directory of the Unix socket cannot be read', error);
  });
  if (!info.isDirectory() || info.uid !== process.getuid?.() || (info.mode & forbidden) !== 0) {
    throw socketError('the directory of the Unix socket is open to other users, or not yours');
  }
}

/** Makes room where nobody answers any more; what is not a socket is never touched. */
async function removeStaleSocket(path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isSocket()) throw socketError('there is another file at the path of the Unix socket');
  if (await isSocketAlive(path)) {
    throw new PosternError('ERR_LISTEN_IN_USE', 'another server listens on the Unix socket');
  }
  await rm(path, { force: true });
}

function socketError(message: string, cause?: unknown): PosternError {
  return new PosternError('ERR_UNIX_SOCKET', message, { cause });
}

function listenError(error: unknown): PosternError {
  const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return new PosternError('ERR_LISTEN_FAILED', `cannot listen on the Unix socket (${errno})`, {
    cause: error,
  });
}
