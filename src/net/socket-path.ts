import { PosternError } from '../errors.ts';
import { MAX_SOCKET_PATH_BYTES } from '../state/directory-lock.ts';

/**
 * Checks that the system can take the path of a Unix-domain socket: it would silently cut a longer one, and
 * use another file.
 *
 * @returns the path
 * @throws PosternError `ERR_SOCKET_PATH`
 */
export function checkSocketPath(path: string): string {
  const length = Buffer.byteLength(path);
  if (length <= MAX_SOCKET_PATH_BYTES) return path;
  throw new PosternError(
    'ERR_SOCKET_PATH',
    `the path of the Unix socket has ${length} bytes, and this system takes ${MAX_SOCKET_PATH_BYTES}`,
  );
}
