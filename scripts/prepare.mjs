/**
 * npm's `prepare`: builds, in a clone and when npm installs from git.
 *
 * From git, npm makes a clone of its own, installs there what the build needs, and packs it. With
 * `--global` it hands that option on to the step in the middle, which then fetches nothing and links the
 * clone into the place where the package is going to be. Both are mended here.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const root = realpathSync(join(import.meta.dirname, '..'));

if (!existsSync(join(root, 'node_modules', 'typescript'))) {
  npm('ci', '--global=false', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund');
}
npm('run', '--silent', 'build');
// npm's mark for its own clones, not for `npm install --global .`, whose link is wanted.
if (process.env._PACOTE_NO_PREPARE_ && process.env.npm_config_global === 'true') mendPlace();

/** The link becomes a folder again; what had been unpacked there is lost, and so comes in the package. */
function mendPlace() {
  const manifestPath = join(root, 'package.json');
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
  manifest.bundleDependencies = Object.keys(manifest.dependencies);
  writeFileSync(manifestPath, JSON.stringify(manifest));
  const [folder] = npmOutput('root', '--global').split('\n');
  const link = join(folder, manifest.name);
  const isLink = lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (!isLink || realpathSync(link) !== root) return;
  rmSync(link);
  mkdirSync(link);
}

function npm(...args) {
  execFileSync(process.execPath, [process.env.npm_execpath, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
}

function npmOutput(...args) {
  return execFileSync(process.execPath, [process.env.npm_execpath, ...args], { encoding: 'utf8' });
}
