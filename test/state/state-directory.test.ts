import assert from 'node:assert/strict';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openStateDirectory } from '../../src/state/state-directory.ts';

async function scratch(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postern-state-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

const bytes = (text: string): Buffer => Buffer.from(text);

test('[PT-3.2.1-09] [PT-3.2.1-10] the directory is made at the first write, ancestors too, for its owner only', async (t) => {
  const path = join(await scratch(t), 'a', 'b');
  const state = openStateDirectory(path);
  assert.equal(await state.read('x'), undefined);
  await assert.rejects(stat(path));
  await state.write('x', bytes('1'));
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  assert.equal((await stat(join(path, 'x'))).mode & 0o777, 0o600);
});

test('each write is whole, and keeps the copy before it', async (t) => {
  const path = await scratch(t);
  const state = openStateDirectory(path);
  await state.write('x', bytes('one'));
  assert.equal(await state.readPrevious('x'), undefined);
  await state.write('x', bytes('two'));
  assert.equal(Buffer.from((await state.read('x'))!).toString(), 'two');
  assert.equal(Buffer.from((await state.readPrevious('x'))!).toString(), 'one');
  assert.deepEqual((await readdir(path)).sort(), ['x', 'x.previous']);
});

test('a disk that takes no more leaves the old file, its copy, and no rest', async (t) => {
  const path = await scratch(t);
  const state = openStateDirectory(path);
  await state.write('x', bytes('old'));
  // Every write to this device fails with ENOSPC, as on a full disk.
  await symlink('/dev/full', join(path, 'x.new'));
  await assert.rejects(state.write('x', bytes('new')), {
    code: 'ERR_TRANSPORT_STATE',
    message: /x cannot be saved/,
  });
  assert.equal(await readFile(join(path, 'x'), 'utf8'), 'old');
  assert.ok(!(await readdir(path)).includes('x.new'));
});

test('what cannot be read or made is an error that names the file', async (t) => {
  const path = await scratch(t);
  await mkdir(join(path, 'x'));
  await assert.rejects(openStateDirectory(path).read('x'), {
    code: 'ERR_TRANSPORT_STATE',
    message: /\/x cannot be read \(EISDIR\)/,
  });
  await writeFile(join(path, 'file'), '');
  const impossible = openStateDirectory(join(path, 'file', 'sub'));
  for (const attempt of [impossible.write('x', bytes('')), impossible.append('x', bytes(''))]) {
    await assert.rejects(attempt, { code: 'ERR_TRANSPORT_STATE', message: /cannot be saved/ });
  }
  assert.throws(() => openStateDirectory('relative/path'), { code: 'ERR_TRANSPORT_STATE' });
  await chmod(path, 0o700);
});

test('appends add up, also after the file was replaced, and closing twice is fine', async (t) => {
  const path = await scratch(t);
  const state = openStateDirectory(path);
  await Promise.all([state.append('log', bytes('a')), state.append('log', bytes('b'))]);
  await state.write('log', bytes('-'));
  await state.append('log', bytes('c'));
  await state.close();
  await state.close();
  assert.equal(await readFile(join(path, 'log'), 'utf8'), '-c');
});
