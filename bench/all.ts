/**
 * `npm run bench [-- --quick] [--json] [--write] [--transport NAME]`: the transports beside obfs4proxy
 * and lyrebird, then the daemon. With `--transport` the daemon is left out; `--daemon` leaves the transports out. `--attack`
 * is what strangers and hostile clients cost a bridge, and nothing else; `--webtunnel` is webtunnel beside its own
 * programs.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildRoot } from '../scripts/paths.ts';

const MODES: Readonly<Record<string, readonly string[]>> = {
  '--attack': ['attack.js'],
  '--daemon': ['daemon.js'],
  '--webtunnel': ['webtunnel.js'],
};
/** What a program needs around it: webtunnel's own client takes no address of this machine. */
const SURROUNDINGS: Readonly<Record<string, readonly string[]>> = {
  'webtunnel.js': [
    ...['unshare', '--net', '--map-root-user', 'sh', '-euc'],
    'ip link set lo up; ip addr add 203.0.113.10/32 dev lo; exec "$0" "$@"',
  ],
};

const args = process.argv.slice(2);
const mode = args.find((arg) => arg in MODES);
const programs =
  mode === undefined
    ? ['run.js', ...(args.includes('--transport') ? [] : ['daemon.js'])]
    : MODES[mode]!;
for (const program of programs) {
  const own = args.filter((arg) => arg !== mode);
  const [file, ...rest] = [
    ...(SURROUNDINGS[program] ?? []),
    process.execPath,
    join(buildRoot, 'bench', program),
    ...own,
  ];
  const { status } = spawnSync(file!, rest, { stdio: 'inherit' });
  if (status !== 0) {
    process.exitCode = 1;
    break;
  }
}
