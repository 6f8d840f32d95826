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
