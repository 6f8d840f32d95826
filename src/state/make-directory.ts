import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory for its owner only, with missing ancestors; one that is there is left as it is.
 *
 * Not by Node's recursive mkdir: under /proc, where a new directory is answered with "no such file", that
 * one tries for ever and cannot be stopped.
 *
 * @throws what the system says
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, 0o700);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && dirname(path) !== path) {
      await makeDirectory(dirname(path));
      await mkdir(path, 0o700).catch(unlessDirectory(path));
    } else {
      await unlessDirectory(path)(error);
    }
  }
}

/** Another process may have made it in the same moment; a read-only disk says so only of what is missing. */
function unlessDirectory(path: string): (error: unknown) => Promise<void> {
  return async (error) => {
    const found = await stat(path).catch(() => undefined);
    if (!found?.isDirectory()) throw error;
  };
}
