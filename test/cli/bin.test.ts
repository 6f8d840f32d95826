/** `bin/postern`, which must answer also where nothing behind it can be loaded. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { packageRoot } from '../../scripts/paths.ts';
import { version } from '../../src/version.ts';
import { temporaryDirectory } from '../support/managed.ts';

const bin = join(packageRoot, 'bin', 'postern');

/** Runs it, as if on a Node of that version; .ci/parts/nodes does so on real old ones. */
function run(
  t: TestContext,
  node: string,
  env: Readonly<Record<string, string>> = {},
  file: string = bin,
) {
  const preload = join(temporaryDirectory(t), 'version.cjs');
  const versions = `{ ...process.versions, node: '${node}' }`;
  writeFileSync(preload, `Object.defineProperty(process, 'versions', { value: ${versions} });`);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--require', preload, file, '--version'],
    { env, encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

describe('a Node that is too old', () => {
  for (const [node, needed] of [
    ['12.22.12', '20.19'],
    ['18.20.8', '20.19'],
    ['20.11.1', '20.19'],
    ['20.18.3', '20.19'],
    ['21.7.3', '22.12'],
    ['22.11.0', '22.12'],
  ] as const) {
    const sentence = `postern needs Node ${needed} or later; this is Node ${node}\n`;

    test(`${node}: one sentence for a person`, (t) => {
      assert.deepEqual(run(t, node), { status: 1, stdout: '', stderr: sentence });
    });

    test(`${node}: one line for a parent`, (t) => {
      const expected = { status: 1, stdout: `ENV-ERROR ${sentence}`, stderr: '' };
      assert.deepEqual(run(t, node, { TOR_PT_MANAGED_TRANSPORT_VER: '1' }), expected);
      assert.deepEqual(run(t, node, { TOR_PT_EXIT_ON_STDIN_CLOSE: '1' }), expected);
    });
  }
});

for (const node of ['20.19.0', '20.20.2', '22.12.0', '23.0.0', '24.0.0', '26.12.1']) {
  test(`Node ${node} is new enough`, (t) => {
    assert.deepEqual(run(t, node), { status: 0, stdout: `${version}\n`, stderr: '' });
  });
}

test('a clone that is not built says so, to a parent in its own language', (t) => {
  const folder = temporaryDirectory(t);
  cpSync(join(packageRoot, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(packageRoot, 'package.json'), join(folder, 'package.json'));
  const file = join(folder, 'bin', 'postern');
  const sentence = 'postern is not built yet; run `npm ci && npm run build` in its folder.\n';
  assert.deepEqual(run(t, '24.0.0', {}, file), { status: 1, stdout: '', stderr: sentence });
  assert.deepEqual(run(t, '24.0.0', { TOR_PT_STATE_LOCATION: folder }, file), {
    status: 1,
    stdout: `ENV-ERROR ${sentence}`,
    stderr: '',
  });
});

test('a program that cannot be loaded says so to a parent, and shows the stack', (t) => {
  const folder = temporaryDirectory(t);
  cpSync(join(packageRoot, 'bin'), join(folder, 'bin'), { recursive: true });
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', engines: { node: '>=20.19.0' } }),
  );
  mkdirSync(join(folder, 'dist', 'command'), { recursive: true });
  writeFileSync(join(folder, 'dist', 'command', 'postern.js'), "import 'commander-is-not-there';");
  const file = join(folder, 'bin', 'postern');
  const { status, stdout, stderr } = run(t, '24.0.0', { TOR_PT_STATE_LOCATION: folder }, file);
  assert.notEqual(status, 0);
  assert.match(stdout, /^ENV-ERROR postern cannot be loaded: .*'commander-is-not-there'.*\n$/);
  assert.match(stderr, /ERR_MODULE_NOT_FOUND/);
  assert.equal(run(t, '24.0.0', {}, file).stdout, '');
});
