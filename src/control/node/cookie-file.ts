import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { randomBytes, type Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import { replaceFile } from '../../state/replace-file.ts';

/** A control cookie's length; the file is the cookie and nothing else. */
const COOKIE_BYTES = 32;

/** The file's name in the data directory, as Tor has it. */
export const COOKIE_FILE_NAME = 'control_auth_cookie';

/** A fresh cookie: one for each start of a server. */
export function makeControlCookie(rng: Rng): Buffer {
  return randomBytes(rng, COOKIE_BYTES);
}

/**
 * Writes a cookie, for its owner and perhaps its group, in the place of the one before; whoever can read the file is
 * trusted (TC 4.1, method 3). To be called when the server listens, and by nobody whose server does
 * not: the cookie before may open a port that another process has.
 *
 * @throws PosternError `ERR_CONTROL_COOKIE`
 */
export async function writeControlCookie(
  path: string,
  cookie: Uint8Array,
  isGroupReadable = false,
): Promise<void> {
  try {
    await replaceFile(path, cookie, isGroupReadable ? 0o640 : 0o600);
  } catch (error) {
    throw cookieError(`the cookie file ${path} cannot be written`, error);
  }
}

/**
 * Checks that a cookie can be written.
 *
 * @throws PosternError `ERR_CONTROL_COOKIE`
 */
export async function checkControlCookie(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw cookieError(`the cookie file ${path} cannot be written`, error);
  }
}

/**
 * Reads the cookie that a client will send. What is sent goes to whoever listens, so a file that is
 * not a cookie is not read at all: it must be a plain file of 32 bytes, this user's (root may read
 * anybody's), and closed to all others, who may not change it in any case.
 *
 * @param owner `anyone` for Tor's cookie, which is another user's and open to a group on many
 *   systems, and which SAFECOOKIE shows to nobody who has not proven to know it
 * @throws PosternError `ERR_CONTROL_COOKIE`
 */
export async function readControlCookie(
  path: string,
  owner: 'self' | 'anyone' = 'self',
): Promise<Buffer> {
  // Without O_NONBLOCK a named pipe would keep the caller waiting for its writer.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((error: unknown) => {
    throw cookieError(`the cookie file ${path} cannot be opened`, error);
  });
  try {
    // Of the open file, not of the path: it cannot be exchanged between check and use.
    const info = await handle.stat();
    const user = process.getuid?.();
    if (!info.isFile() || info.size !== COOKIE_BYTES) {
      throw cookieError(`${path} is not a file of ${COOKIE_BYTES} bytes`);
    }
    if (owner === 'self') {
      if (user !== 0 && info.uid !== user) throw cookieError(`${path} belongs to another user`);
      if ((info.mode & 0o037) !== 0) throw cookieError(`${path} is open to other users`);
    }
    const cookie = Buffer.alloc(COOKIE_BYTES);
    const { bytesRead } = await handle.read(cookie, 0, COOKIE_BYTES, 0);
    if (bytesRead !== COOKIE_BYTES) throw cookieError(`${path} became shorter`);
    return cookie;
  } finally {
    await handle.close();
  }
}

function cookieError(message: string, cause?: unknown): PosternError {
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new PosternError(
    'ERR_CONTROL_COOKIE',
    errno === undefined ? message : `${message} (${errno})`,
    { cause },
  );
}
