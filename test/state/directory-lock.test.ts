import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { buildRoot } from '../../scripts/paths.ts';
import { lockDirectory } from '../../src/state/directory-lock.ts';
import { temporaryDirectory } from '../support/managed.ts';

const PROGRAM = join(buildRoot, 'test', 'support', 'lock-directory.js');

/** A process that tries to lock a directory, and what it says of it. */
async function startOther(
  t: TestContext,
  path: string,
): Promise<{ child: ChildProcess; says: string }> {
  const child = spawn(process.execPath, [PROGRAM, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, says: line.toString().trim() };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

test('a directory is made and locked once, and the error names the process that has it', async (t) => {
  const path = join(temporaryDirectory(t), 'a', 'b');
  const lock = await lockDirectory(path);
  await assert.rejects(lockDirectory(path), {
    code: 'ERR_DIRECTORY_IN_USE',
    message: `process ${process.pid} uses ${path}`,
  });
  assert.equal((await startOther(t, path)).says, `process ${process.pid} uses ${path}`);
  await lock.release();
  await lock.release();
  assert.deepEqual(readdirSync(path), []);
  await (await lockDirectory(path)).release();
});

test('what a killed process leaves is taken over; one that is stopped keeps its directory', async (t) => {
  const path = temporaryDirectory(t);
  const { child, says } = await startOther(t, path);
  assert.equal(says, 'held');
  child.kill('SIGSTOP');
  await assert.rejects(lockDirectory(path), { message: `process ${child.pid} uses ${path}` });
  await killed(child);
  assert.equal(readdirSync(path).length, 1);
  const lock = await lockDirectory(path);
  assert.equal(readdirSync(path).length, 1, 'the dead one’s is gone');
  await lock.release();
});

test('of several that come at once exactly one gets it, also where the dead have left theirs', async (t) => {
  for (let round = 0; round < 4; round += 1) {
    const path = temporaryDirectory(t);
    for (let dead = 0; dead < round; dead += 1) {
      await killed((await startOther(t, path)).child);
    }
    const others = await Promise.all(Array.from({ length: 5 }, () => startOther(t, path)));
    const holders = others.filter(({ says }) => says === 'held');
    assert.equal(holders.length, 1);
    const [holder] = holders;
    for (const other of others) {
      if (other !== holder) assert.equal(other.says, `process ${holder!.child.pid} uses ${path}`);
    }
    await Promise.all(others.map(({ child }) => killed(child)));
  }
});

test('many calls of one process come to one lock as well', async (t) => {
  const path = temporaryDirectory(t);
  for (let round = 0; round < 20; round += 1) {
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(path)));
    const locks = all.filter((result) => result.status === 'fulfilled');
    assert.equal(locks.length, 1);
    await locks[0]!.value.release();
  }
});

test('a path that is too long for a socket is locked all the same', async (t) => {
  const path = join(temporaryDirectory(t), 'long'.repeat(40));
  const lock = await lockDirectory(path);
  await assert.rejects(lockDirectory(path), { code: 'ERR_DIRECTORY_IN_USE' });
  assert.match(readdirSync(path).join(), /^lock-\d+-[0-9a-f]{12}$/);
  await lock.release();
  assert.deepEqual(readdirSync(path), []);
});

test('a process that accepts and says nothing is there', async (t) => {
  const path = temporaryDirectory(t);
  const server = createServer().listen(join(path, 'lock-42-0123456789ab'));
  t.after(() => server.close());
  await once(server, 'listening');
  await assert.rejects(lockDirectory(path), { message: `process 42 uses ${path}` });
});

test('a path that cannot be locked is an error with the system’s word for it, and at once', async (t) => {
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, '');
  for (const [path, errno] of [
    [file, 'EEXIST'],
    [join(file, 'x'), 'ENOTDIR'],
    ['/proc/nope', 'ENOENT'],
    ['/proc/nope/deeper', 'ENOENT'],
  ] as const) {
    await assert.rejects(lockDirectory(path), {
      code: 'ERR_DIRECTORY_UNUSABLE',
      message: `${path} cannot be locked (${errno})`,
    });
  }
  assert.equal(readFileSync(file, 'utf8'), '');
});
