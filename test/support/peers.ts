import { fetchedPrograms, findProgram } from '../../scripts/find-program.ts';

/**
 * Where a foreign program (`tor`, `obfs4proxy`, `curl`…) is installed.
 *
 * @param isRare whether Debian's stable suite has none, so that only scripts/debian-peers.sh brings it along
 * @returns undefined when it is not, or when `POSTERN_NO_PEERS=1`, so that a test can skip and say why
 * @throws Error instead, when `POSTERN_REQUIRE_PEERS=1` says that every peer must be there
 */
export function peerProgram(name: string, isRare = false): string | undefined {
  if (process.env['POSTERN_NO_PEERS'] === '1') return undefined;
  // Daemons lie in sbin, which an ordinary user's PATH leaves out.
  const found = findProgram(name, ['/usr/sbin', '/usr/local/sbin', fetchedPrograms]);
  if (found === undefined && !isRare && process.env['POSTERN_REQUIRE_PEERS'] === '1') {
    throw new Error(`${name} is not installed, and POSTERN_REQUIRE_PEERS=1 demands it`);
  }
  return found;
}
