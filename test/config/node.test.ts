import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { buildRoot } from '../../scripts/paths.ts';
import { Configuration } from '../../src/config/configuration.ts';
import { expandPath, localDefaults, torrcFile } from '../../src/config/node.ts';
import { ConfigStore } from '../../src/config/store.ts';
import { limits } from '../../src/limits.ts';
import { memoryDisk, temporaryDirectory } from '../support/managed.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

describe('torrcFile', () => {
  test('reads, replaces, keeps the previous one and the permissions', async (t) => {
    const folder = temporaryDirectory(t);
    const path = join(folder, 'torrc');
    const file = torrcFile(path);
    assert.equal(await file.read(), undefined);
    await file.write('Nickname a\n');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(await file.read(), 'Nickname a\n');

    writeFileSync(path, '\ufeffNickname é\n', { mode: 0o600 });
    assert.equal(await file.read(), 'Nickname é\n');
    execFileSync('chmod', ['640', path]);
    await file.write('Nickname b\n');
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.equal(statSync(`${path}.previous`).mode & 0o777, 0o640);
    assert.equal(readFileSync(`${path}.previous`, 'utf8'), '\ufeffNickname é\n');
    assert.deepEqual(readdirSync(folder).sort(), ['torrc', 'torrc.previous']);

    await file.write('Nickname b\n');
    assert.equal(readFileSync(`${path}.previous`, 'utf8'), '\ufeffNickname é\n');
  });

  test('a link stays a link', async (t) => {
    const folder = temporaryDirectory(t);
    mkdirSync(join(folder, 'real'));
    const real = join(folder, 'real', 'torrc');
    writeFileSync(real, 'Nickname a\n');
    symlinkSync(real, join(folder, 'torrc'));
    await torrcFile(join(folder, 'torrc')).write('Nickname b\n');
    assert.ok(lstatSync(join(folder, 'torrc')).isSymbolicLink());
    assert.equal(readFileSync(real, 'utf8'), 'Nickname b\n');
  });

  test('what is no torrc is refused before it fills the memory', async (t) => {
    const folder = temporaryDirectory(t);
    const path = join(folder, 'torrc');
    await assert.rejects(torrcFile('/dev/zero').read(), {
      code: 'ERR_CONFIG_FILE',
      message: new RegExp(`larger than ${limits.torrcBytes}`),
    });
    await assert.rejects(torrcFile(folder).read(), { code: 'ERR_CONFIG_FILE', message: /EISDIR/ });
    writeFileSync(path, Buffer.from('Nickname \xff', 'latin1'));
    await assert.rejects(torrcFile(path).read(), { code: 'ERR_CONFIG_FILE', message: /UTF-8/ });
    await assert.rejects(torrcFile(join(folder, 'no', 'torrc')).write('x'), {
      code: 'ERR_CONFIG_FILE',
      message: /ENOENT/,
    });
  });

  test('[TC-3.9-03] a full or read-only disk leaves the torrc as it was', async (t) => {
    const folder = mountSmallDisk(t);
    if (folder === undefined) return;
    const path = join(folder, 'torrc');
    const text = `# ${'x'.repeat(3_000)}\nNickname a\n`;
    writeFileSync(path, text);
    const store = await ConfigStore.open(torrcFile(path));
    await store.set(`Nickname b\nContactInfo ${'y'.repeat(6_000)}`);

    await assert.rejects(store.save(), { code: 'ERR_CONFIG_FILE', message: /ENOSPC/ });
    assert.equal(readFileSync(path, 'utf8'), text);
    assert.deepEqual(readdirSync(folder).sort(), ['torrc', 'torrc.previous']);

    execFileSync('mount', ['-o', 'remount,ro', folder]);
    await store.set('ContactInfo short');
    await assert.rejects(store.save(), { code: 'ERR_CONFIG_FILE', message: /EROFS/ });
    assert.equal(readFileSync(path, 'utf8'), text);

    execFileSync('mount', ['-o', 'remount,rw', folder]);
    await store.save();
    assert.match(readFileSync(path, 'utf8'), /^# x+\nNickname b\nContactInfo short\n$/);
  });

  test('[TC-3.9-02] 200 saves that a kill cuts off leave a whole torrc each time', async (t) => {
    const program = join(buildRoot, 'test', 'support', 'save-loop.js');
    const folder = temporaryDirectory(t, memoryDisk);
    // Starting a process costs much more than a save: each kill cuts off four.
    const paths = [1, 2, 3, 4].map((number) => join(folder, `torrc-${number}`));
    for (const path of paths) writeFileSync(path, '# mine\nNickname Torn\n');
    const lengths = new Set<number>();
    for (let count = 0; count < 50; count += 1) {
      const child = spawn(process.execPath, [program, ...paths], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
      child.kill('SIGKILL');
      await ended;
      for (const path of paths) {
        const text = readFileSync(path, 'utf8');
        assert.match(text, /^# mine\nNickname Torn\n/);
        const ports = Configuration.parse(text).values.ControlPort.map(
          (place) => 'port' in place && place.port,
        );
        assert.deepEqual(
          ports,
          ports.map((_, index) => 10_000 + index),
        );
        lengths.add(ports.length);
      }
    }
    assert.ok(lengths.size > 5, 'the children did save');
  });
});

describe('localDefaults', () => {
  test('the state directory of systemd, of XDG, of the user', () => {
    const dataDirectory = (env: Record<string, string>): unknown =>
      localDefaults(env, '/home/u').DataDirectory;
    assert.equal(dataDirectory({}), '/home/u/.local/state/postern');
    assert.equal(dataDirectory({ XDG_STATE_HOME: '/s' }), '/s/postern');
    assert.equal(dataDirectory({ XDG_STATE_HOME: 's' }), '/home/u/.local/state/postern');
    assert.equal(dataDirectory({ XDG_STATE_HOME: '/s', STATE_DIRECTORY: '/v/p:/v/q' }), '/v/p');
  });
});

test('expandPath knows the home directory', () => {
  assert.equal(expandPath('~/x/y', '/home/u'), '/home/u/x/y');
  assert.equal(expandPath('/x~/y', '/home/u'), '/x~/y');
});
