import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expandPath } from '../config/node.ts';
import type { OptionValues } from '../config/options.ts';
import { PosternError } from '../errors.ts';

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
 * Makes the data directory, for its owner only.
 *
 * @throws PosternError `ERR_DATA_DIRECTORY`
 */
export async function makeDataDirectory(values: OptionValues, home: string): Promise<void> {
  const path = dataDirectory(values, home);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError('ERR_DATA_DIRECTORY', `${path} cannot be made (${errno})`, {
      cause: error,
    });
  }
}
