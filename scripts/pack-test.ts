/**
 * `npm run test:pack`: packs both packages, installs them into an empty folder as a stranger would, and
 * looks at them from there: each subpath, the internals, the commands, and the two shape checkers.
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
writeFileSync(join(folder, 'package.json'), '{ "name": "stranger", "private": true }\n');
try {
  const tarball = pack(packageRoot, /(?:^|\/)(?:test|bench|scripts|conform)\/|\.map$/);
  const kit = pack(join(packageRoot, 'conform'), /(?:^|\/)(?:test|scripts)\/|\.map$/);
  run(packageRoot, 'npx', 'publint', 'run', '--strict', tarball);
  run(packageRoot, 'npx', 'publint', 'run', '--strict', kit);
  run(packageRoot, 'npx', 'attw', '--profile', 'esm-only', '--no-emoji', tarball);
  install(tarball);
  importEachSubpath();
  const version = run(folder, 'npx', 'postern', '--version').trim();
  assert.equal(version, manifest.version);
  run(folder, 'npx', 'postern', 'demo', '--once', '--mb', '1');
  install(kit);
  assert.equal(run(folder, 'npx', 'postern-conform', '--version').trim(), version);
  examine(join('node_modules', '.bin', 'postern'));
  process.stdout.write('The packed packages install, import and run.\n');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** @returns the tarball of a package, which holds nothing that `stray` matches */
function pack(root: string, stray: RegExp): string {
  const [packed] = JSON.parse(
    run(root, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder),
  ) as [{ filename: string; size: number; unpackedSize: number; files: { path: string }[] }];
  const strays = packed.files.filter(({ path }) => stray.test(path));
  assert.deepEqual(strays, [], 'files that no user needs');
  process.stdout.write(
    `${packed.filename}: ${packed.files.length} files, ${packed.size} bytes packed, ` +
      `${packed.unpackedSize} unpacked\n`,
  );
  return join(folder, packed.filename);
}

function install(tarball: string): void {
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

/** The installed kit judges a program by one clause that every program keeps. */
function examine(...command: readonly string[]): void {
  const words = ['pt', '--only', 'PT-3.3.1-06', '--json', '--', ...command];
  const verdicts = JSON.parse(run(folder, 'npx', 'postern-conform', ...words)) as {
    clauses: { id: string; verdict: string }[];
  };
  assert.deepEqual(
    verdicts.clauses.map(({ id, verdict }) => [id, verdict]),
    [['PT-3.3.1-06', 'holds']],
  );
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
