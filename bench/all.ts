/**
 * `npm run bench [-- --quick] [--json] [--write] [--transport NAME]`: the transports beside obfs4proxy
 * and lyrebird, then the daemon. With `--transport` the daemon is left out; `--daemon` leaves the transports out. `--attack`
 * is what strangers and hostile clients cost a bridge, and nothing else.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildRoot } from '../scripts/paths.ts';

const args = process.argv.slice(2);
const onlyDaemon = args.includes('--daemon');
const programs = args.includes('--attack')
  ? ['attack.js']
  : onlyDaemon
    ? ['daemon.js']
    : ['run.js', ...(args.includes('--transport') ? [] : ['daemon.js'])];
for (const program of programs) {
  const own = args.filter((arg) => arg !== '--daemon' && arg !== '--attack');
  const { status } = spawnSync(process.execPath, [join(buildRoot, 'bench', program), ...own], {
    stdio: 'inherit',
  });
  if (status !== 0) {
    process.exitCode = 1;
    break;
  }
}
