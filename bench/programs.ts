/** The programs that are compared. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fetchedPrograms, fetchedVersions, findProgram } from '../scripts/find-program.ts';
import { buildRoot, packageRoot } from '../scripts/paths.ts';

/** A PT program under test. */
export interface Program {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** What it says it is; undefined for our own. */
  readonly version?: string;
}

/** The command as tor starts it. */
export const postern: Program = {
  name: 'postern',
  command: [join(packageRoot, 'bin', 'postern')],
};

/** The floor: what a Node program costs that carries bytes and does nothing to them. */
export const bareRelay: Program = {
  name: 'bare relay',
  command: [process.execPath, join(buildRoot, 'bench', 'bare-relay.js')],
};

/** What others have written, as far as it is here; without obfs4proxy there is nothing to compare with. */
export const peers: readonly Program[] = findPeers();

function findPeers(): readonly Program[] {
  const obfs4proxy = find('obfs4proxy');
  if (obfs4proxy === undefined) throw new Error('obfs4proxy is not installed');
  const lyrebird = find('lyrebird', fetchedPrograms);
  if (lyrebird !== undefined) return [obfs4proxy, lyrebird];
  process.stderr.write('lyrebird is left out: scripts/debian-peers.sh fetches it\n');
  return [obfs4proxy];
}

function find(name: string, ...moreFolders: readonly string[]): Program | undefined {
  const path = findProgram(name, moreFolders);
  return path === undefined ? undefined : { name, command: [path], version: versionOf(name, path) };
}

/**
 * A program that scripts/debian-peers.sh has fetched.
 *
 * @param name the command's
 * @param source the package that it comes from
 */
export function findFetched(name: string, source: string): Program {
  const path = findProgram(name, [fetchedPrograms]);
  if (path === undefined) throw new Error(`${name} is missing: scripts/debian-peers.sh fetches it`);
  return { name, command: [path], version: versionOf(source, path) };
}

/** Debian's lyrebird says `devel` of itself; the package knows better. */
function versionOf(name: string, path: string): string {
  if (path.startsWith(fetchedPrograms)) {
    return fetchedVersions().find((version) => version.startsWith(`${name} `))!;
  }
  return execFileSync(path, ['-version'], { encoding: 'utf8' }).trim();
}
