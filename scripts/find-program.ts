import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { packageRoot } from './paths.ts';

/** Where scripts/debian-peers.sh puts what it fetches. */
const fetched = join(packageRoot, '.build', 'peers');

/** The programs of it: lyrebird and webtunnel's own. */
export const fetchedPrograms: string = join(fetched, 'usr', 'bin');

/** The packages that it has fetched, each as `NAME VERSION`; none when it has not run. */
export function fetchedVersions(): readonly string[] {
  const file = join(fetched, 'versions');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

/** Where a program is: in the search path, then in more folders; undefined when it is in none of them. */
export function findProgram(name: string, moreFolders: readonly string[]): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), ...moreFolders]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
