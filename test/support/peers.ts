import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Where a foreign program (`tor`, `obfs4proxy`, `curl`…) is installed.
 *
 * @returns undefined when it is not, or when `POSTERN_PEERS=none`, so that a test can skip and say why
 * @throws Error instead, when `POSTERN_PEERS=required` says that every peer must be there
 */
export function peerProgram(name: string): string | undefined {
  const peers = process.env['POSTERN_PEERS'];
  if (peers === 'none') return undefined;
  // Daemons lie in sbin, which an ordinary user's PATH leaves out.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
  if (found === undefined && peers === 'required') {
    throw new Error(`${name} is not installed, and POSTERN_PEERS=required demands it`);
  }
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
