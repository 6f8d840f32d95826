/**
 * `npm test [-- FILTER ...]`: runs every test file, or those whose path contains a filter. Those that need
 * a Tor network, or what `.ci/field` brings along, run only when a filter asks for them. With `--portable`
 * it is every test that needs no foreign program, as if none were installed.
 *
 * The list comes from the sources, so that what an older build left in dist/ never runs. A whole run
 * also writes conformance.json into the build, from which docs/CONFORMANCE.md is generated.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, sep } from 'node:path';
import { buildRoot, packageRoot } from './paths.ts';

/** Folders of tests that somebody has to ask for. */
const ON_DEMAND = ['tornet', 'field'];

const isPortable = process.argv.includes('--portable');
const filters = process.argv.slice(2).filter((argument) => argument !== '--portable');
const files = [
  ...testsOf('', buildRoot),
  // The kit is a package with a build of its own.
  ...testsOf('conform', join(packageRoot, 'conform', 'dist')),
];

if (files.length === 0) {
  process.stderr.write(`No test file matches ${filters.join(' ')}\n`);
  process.exitCode = 1;
} else {
  const reporters = ['--test-reporter=spec', '--test-reporter-destination=stdout'];
  if (filters.length === 0 && !isPortable) {
    reporters.push(
      `--test-reporter=${join(buildRoot, 'scripts', 'conformance-reporter.js')}`,
      `--test-reporter-destination=${join(buildRoot, 'conformance.json')}`,
    );
  }
  const options = [
    '--test',
    // A test that hangs is a failure, not a run without an end. This is the only clock that a test has: far
    // beyond what any needs, so that it fails none on a machine that is slow or has much else to do.
    '--test-timeout=1200000',
    // Node itself would leave a core to nobody: tests wait for programs as often as they compute.
    `--test-concurrency=${availableParallelism()}`,
    ...reporters,
  ];
  const child = spawn(process.execPath, [...options, ...files], {
    env: { ...process.env, ...(isPortable && { POSTERN_NO_PEERS: '1' }) },
    stdio: 'inherit',
  });
  child.once('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}

/** The compiled test files of a package, as far as they are asked for; a filter sees `conform/tc.test.ts`. */
function testsOf(folder: string, build: string): readonly string[] {
  return readdirSync(join(packageRoot, folder, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => !isPortable || !file.startsWith(`interop${sep}`))
    .filter((file) =>
      filters.length === 0
        ? !ON_DEMAND.some((name) => file.startsWith(name + sep))
        : filters.some((text) => join(folder, file).includes(text)),
    )
    .sort()
    .map((file) => join(build, 'test', file.replace(/\.ts$/, '.js')));
}
