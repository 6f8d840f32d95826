/**
 * `.ci/parts/package`: README's section "Install it", word for word, on the oldest and the newest Node of
 * .ci/nodes: from what is committed here, into a folder of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, sep } from 'node:path';
import { version } from '../src/version.ts';
import { lines, type NodeLine } from './lines.ts';
import { packageRoot } from './paths.ts';

const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'postern-install-')));
const clone = join(folder, 'clone');
const repository = `git+file://${packageRoot}`;
try {
  for (const line of [lines[0]!, lines.at(-1)!]) {
    execFileSync('git', ['clone', '--quiet', packageRoot, clone]);
    tryInstallation(line, 'from a clone');
    tryInstallation(line, 'from git', (command) => command.replace('git+https://…', repository));
    rmSync(clone, { recursive: true });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function tryInstallation(
  { version: node, folder: bin }: NodeLine,
  what: string,
  fill: (command: string) => string = (command) => command,
): void {
  const prefix = join(folder, `${what.replaceAll(' ', '-')}-${node}`);
  const env = {
    ...process.env,
    PATH: [join(prefix, 'bin'), bin, process.env['PATH']].join(delimiter),
    npm_config_prefix: prefix,
  };
  const run = (command: string): string =>
    execFileSync('bash', ['-euc', command], {
      cwd: clone,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  assert.equal(run('node --version').trim(), `v${node}`);
  run(fill(blockOf(`install ${what}`)));
  const installed = realpathSync(join(prefix, 'bin', 'postern'));
  assert.ok(installed.startsWith(prefix + sep), `${installed} is a link out of the installation`);
  assert.equal(run('postern --version').trim(), version);
  run('postern demo --once --mb 1');
  rmSync(prefix, { recursive: true });
  process.stdout.write(`ok     Node ${node}, ${what}\n`);
}

/** The fenced block of README behind a mark. */
function blockOf(mark: string): string {
  const [, code] = new RegExp(`<!-- ${mark} -->\\n\\n\`\`\`sh\\n([^]*?)\`\`\``).exec(readme) ?? [];
  if (code === undefined) throw new Error(`README.md has no block marked "${mark}"`);
  return code;
}
