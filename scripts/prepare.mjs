/**
 * npm's `prepare`: builds, in a clone and when npm installs from git.
 *
 * npm fetches what the build needs before, but not for `npm install --global` from git: it hands
 * `--global` on to that step, which then installs elsewhere.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
if (!existsSync(join(root, 'node_modules', 'typescript'))) {
  npm('ci', '--global=false', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund');
}
npm('run', '--silent', 'build');

function npm(...args) {
  const npmCli = process.env.npm_execpath;
  execFileSync(process.execPath, [npmCli, ...args], { cwd: root, stdio: 'inherit' });
}
