import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
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
import { mountSmallDisk } from '../support/small-disk.ts';

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

test('each write replaces the whole file and leaves no other one', async (t) => {
  const path = await scratch(t);
  const state = openStateDirectory(path);
  await state.write('x', bytes('one, and more'));
  await state.write('x', bytes('two'));
  assert.equal(Buffer.from((await state.read('x'))!).toString(), 'two');
  assert.deepEqual(await readdir(path), ['x']);
});

test('a disk that takes no more leaves the old file, its copy, and no rest', async (t) => {
  const path = await scratch(t);
  const state = openStateDirectory(path);
  await state.write('x', bytes('old'));
  // Every write to this device fails with ENOSPC, as on a full disk.
  await symlink('/dev/full', join(path, 'x.new'));
  await assert.rejects(state.write('x', bytes('new')), {
    code: 'ERR_DIRECTORY_UNUSABLE',
    message: /x cannot be saved/,
  });
  assert.equal(await readFile(join(path, 'x'), 'utf8'), 'old');
  assert.ok(!(await readdir(path)).includes('x.new'));
});

test('what cannot be read or made is an error that names the file', async (t) => {
  const path = await scratch(t);
  await mkdir(join(path, 'x'));
  await assert.rejects(openStateDirectory(path).read('x'), {
    code: 'ERR_DIRECTORY_UNUSABLE',
    message: /\/x cannot be read \(EISDIR\)/,
  });
  await writeFile(join(path, 'file'), '');
  const impossible = openStateDirectory(join(path, 'file', 'sub'));
  for (const way of ['write', 'append'] as const) {
    await assert.rejects(impossible[way]('x', bytes('')), {
      code: 'ERR_DIRECTORY_UNUSABLE',
      message: /cannot be saved/,
    });
  }
  assert.throws(() => openStateDirectory('relative/path'), { code: 'ERR_DIRECTORY_UNUSABLE' });
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

test('appends that fail leave no descriptor open, and the next one that the disk takes is whole', async (t) => {
  const path = await scratch(t);
  const state = openStateDirectory(path);
  await symlink('/dev/full', join(path, 'log'));
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let count = 0; count < 20; count += 1) {
    const appends = [state.append('log', bytes('a')), state.append('log', bytes('b'))];
    for (const result of await Promise.allSettled(appends)) assert.equal(result.status, 'rejected');
  }
  assert.equal(open(), before);
  await rm(join(path, 'log'));
  await state.append('log', bytes('c'));
  await state.close();
  assert.equal(await readFile(join(path, 'log'), 'utf8'), 'c');
});

test('a piece that a full disk has taken of an append does not stay', async (t) => {
  const path = mountSmallDisk(t);
  if (path === undefined) return;
  const state = openStateDirectory(path);
  await state.append('log', bytes('whole'));
  await assert.rejects(state.append('log', Buffer.alloc(1_000_000)), { message: /ENOSPC/ });
  await state.append('log', bytes(', all of it'));
  await state.close();
  assert.equal(await readFile(join(path, 'log'), 'utf8'), 'whole, all of it');
});
