import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expandPath } from '../config/node.ts';
import type { OptionValues } from '../config/options.ts';
import { COOKIE_FILE_NAME } from '../control/node/cookie-file.ts';
import { PosternError } from '../errors.ts';
import { type DirectoryLock, lockDirectory } from '../state/directory-lock.ts';
import { forOption } from './resources.ts';

/**
 * `DataDirectory` as a path.
 *
 * @throws PosternError `ERR_DATA_DIRECTORY` when nothing says where it is
 */
export function dataDirectory({ DataDirectory: path }: OptionValues, home: string): string {
  if (path !== undefined) return expandPath(path, home);
  throw new PosternError('ERR_DATA_DIRECTORY', 'no option says where the data directory is');
}

/**
 * Where transports keep their state: Tor's own name for it, so that a bridge keeps its identity when it
 * moves from one to the other.
 */
export function transportStateDirectory(values: OptionValues, home: string): string {
  return join(dataDirectory(values, home), 'pt_state');
}

/**
 * Where the control cookie is.
 *
 * @throws PosternError `ERR_DATA_DIRECTORY`
 */
export function cookiePath(values: OptionValues, home: string): string {
  return values.CookieAuthFile === undefined
    ? join(dataDirectory(values, home), COOKIE_FILE_NAME)
    : expandPath(values.CookieAuthFile, home);
}

/** A directory that is made and locked for a moment, unless somebody else uses it. */
export interface BorrowedDirectory extends DirectoryLock, AsyncDisposable {
  /** Who uses it, as a phrase. */
  readonly user: string | undefined;
}

/**
 * Makes and locks a directory as a start would, and undoes that at the end.
 *
 * @throws PosternError `ERR_DIRECTORY_UNUSABLE`
 */
export async function borrowDirectory(path: string): Promise<BorrowedDirectory> {
  const missing = await firstMissing(path);
  const removeAgain = async (): Promise<void> => {
    if (missing === undefined) return;
    // What cannot be removed was never made.
    await rm(missing, { recursive: true, force: true }).catch(() => {});
  };
  let lock: DirectoryLock | undefined;
  let user: string | undefined;
  try {
    lock = await forOption('DataDirectory', () => lockDirectory(path));
  } catch (error) {
    if (!(error instanceof PosternError) || error.code !== 'ERR_DIRECTORY_IN_USE') {
      await removeAgain();
      throw error;
    }
    user = error.message;
  }
  const release = async (): Promise<void> => {
    await lock?.release();
  };
  return {
    user,
    release,
    async [Symbol.asyncDispose]() {
      await release();
      await removeAgain();
    },
  };
}

/** The directory that would be made first for this one; undefined when it is there. */
async function firstMissing(path: string): Promise<string | undefined> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (isThere) return undefined;
  const parent = dirname(path);
  return parent === path ? undefined : ((await firstMissing(parent)) ?? path);
}
