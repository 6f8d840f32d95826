import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Replaces a file in one step: a reader sees the old content or the new, also after a power cut. A full
 * disk leaves the old file and nothing of the new one.
 *
 * @param mode of the new file
 */
export async function replaceFile(
  path: string,
  content: Uint8Array,
  mode: number = 0o600,
): Promise<void> {
  const temporary = `${path}.new`;
  try {
    const handle = await open(temporary, 'w', mode);
    try {
      // What an earlier attempt left behind would keep its own mode.
      await handle.chmod(mode);
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Without it a power cut could undo the rename after the caller was told that it is done. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Some file systems know no such thing. The new content is in place all the same.
  }
}
