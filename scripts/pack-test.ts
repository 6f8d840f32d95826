/**
 * `npm run test:pack`: packs the package, installs it into an empty folder as a stranger would, and
 * looks at it from there: each subpath, the internals, the command, and the two shape checkers.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from './paths.ts';

const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
  exports: Record<string, string>;
};
const folder = mkdtempSync(join(tmpdir(), 'postern-pack-'));
try {
  const tarball = pack();
  run(packageRoot, 'npx', 'publint', 'run', '--strict', tarball);
  run(packageRoot, 'npx', 'attw', '--profile', 'esm-only', '--no-emoji', tarball);
  install(tarball);
  importEachSubpath();
  const version = run(folder, 'npx', 'postern', '--version').trim();
  assert.equal(version, manifest.version);
  run(folder, 'npx', 'postern', 'demo', '--once', '--mb', '1');
  process.stdout.write('The packed package installs, imports and runs.\n');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function pack(): string {
  const [packed] = JSON.parse(
    run(packageRoot, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder),
  ) as [{ filename: string; size: number; unpackedSize: number; files: { path: string }[] }];
  const strays = packed.files.filter(({ path }) =>
    /(?:^|\/)(?:test|bench|scripts)\/|\.map$/.test(path),
  );
  assert.deepEqual(strays, [], 'files that no user needs');
  process.stdout.write(
    `${packed.filename}: ${packed.files.length} files, ${packed.size} bytes packed, ` +
      `${packed.unpackedSize} unpacked\n`,
  );
  return join(folder, packed.filename);
}

function install(tarball: string): void {
  writeFileSync(join(folder, 'package.json'), '{ "name": "stranger", "private": true }\n');
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--omit=dev', tarball);
}

/** Every public subpath loads; a path of the inside does not. */
function importEachSubpath(): void {
  const specifiers = Object.keys(manifest.exports)
    .filter((subpath) => !subpath.endsWith('.json'))
    .map((subpath) => manifest.name + subpath.slice(1));
  const program = `
    for (const name of ${JSON.stringify(specifiers)}) {
      const exported = Object.keys(await import(name));
      if (exported.length === 0) throw new Error(name + ' exports nothing');
      console.log(name + ': ' + exported.length + ' exports');
    }
    try {
      await import('${manifest.name}/dist/src/errors.js');
    } catch (error) {
      if (error.code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw error;
      process.exit(0);
    }
    throw new Error('an internal file can be imported');
  `;
  writeFileSync(join(folder, 'subpaths.mjs'), program);
  process.stdout.write(run(folder, process.execPath, 'subpaths.mjs'));
}

/** Runs a command to its end; its stderr is shown, its stdout is the result. */
function run(cwd: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: process.platform === 'win32',
  });
}
