import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PosternError } from '../errors.ts';
import type { Folder } from '../transports/contract.ts';

/**
 * A folder to read from. Symbolic links are followed, as web servers do: only the operator can make them
 * there.
 *
 * @throws PosternError `ERR_DIRECTORY_UNUSABLE` where there is none, or this user may not look into it
 */
export async function openFolder(root: string): Promise<Folder> {
  try {
    await access(join(root, '.'), constants.R_OK | constants.X_OK);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError(
      'ERR_DIRECTORY_UNUSABLE',
      `the folder of the site cannot be read (${errno})`,
      {
        cause: error,
      },
    );
  }
  return {
    async find(path) {
      try {
        const found = await stat(join(root, ...path));
        if (found.isDirectory()) return 'folder';
        if (!found.isFile()) return undefined;
        await access(join(root, ...path), constants.R_OK);
        return { size: found.size, modifiedMs: found.mtimeMs };
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'forbidden' : undefined;
      }
    },
    async read(path, position, byteCount) {
      const file = await open(join(root, ...path), 'r');
      try {
        const buffer = Buffer.allocUnsafeSlow(byteCount);
        const { bytesRead } = await file.read(buffer, 0, byteCount, position);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },
  };
}
