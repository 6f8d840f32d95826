import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { limits } from '../../src/limits.ts';
import { createNameResolver } from '../../src/net/name-resolver.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { startNameServer } from '../support/name-server.ts';

const zone = { 'www.example': '192.0.2.1' };

describe('name resolver', () => {
  test('asks the servers, and the hosts file before them', async (t) => {
    const server = await startNameServer(t, zone);
    const directory = await mkdtemp(join(tmpdir(), 'postern-names-'));
    t.after(() => rm(directory, { recursive: true }));
    const hostsFile = join(directory, 'hosts');
    await writeFile(hostsFile, '# all\n192.0.2.9\tother.example  Inside # www.example\n');
    const resolve = createNameResolver({ servers: [server.address], hostsFile });
    assert.deepEqual(await resolve('WWW.example.'), ['192.0.2.1']);
    assert.deepEqual(await resolve('inside'), ['192.0.2.9']);
    assert.deepEqual(await resolve('a.localhost'), ['127.0.0.1', '::1']);
    for (const host of [
      'none.example',
      '127.1',
      '0x7f.1',
      '2130706433',
      'a..b',
      '-',
      'fe80::1%lo',
    ]) {
      await assert.rejects(resolve(host), { code: 'ERR_DIAL_NAME_NOT_FOUND' }, host);
    }
    assert.deepEqual([...server.asked].toSorted(), ['-', 'none.example', 'www.example']);
  });

  test('is not held up by names whose server says nothing', async (t) => {
    const server = await startNameServer(t, zone);
    const timers = new HandTimers();
    const resolve = createNameResolver({ timers, servers: [server.address] });
    const left = new AbortController();
    const abandoned = Array.from({ length: 50 }, (_, index) =>
      assert.rejects(resolve(`a${index}.silent`, left.signal), { message: 'gone' }),
    );
    const patient = Array.from({ length: 50 }, (_, index) =>
      assert.rejects(resolve(`b${index}.silent`), { code: 'ERR_DIAL_TIMED_OUT' }),
    );
    await server.untilAsked(100);
    assert.deepEqual(await resolve('www.example'), ['192.0.2.1']);
    // They end with whoever asked, and at the latest when their time is over.
    left.abort(new Error('gone'));
    await Promise.all(abandoned);
    assert.equal(timers.delays.length, 50);
    for (const _ of patient) await timers.fire(limits.nameLookupMs);
    await Promise.all(patient);
    assert.equal(timers.delays.length, 0);
  });

  test('looks up no more than a limit at the same time', async (t) => {
    const server = await startNameServer(t, zone);
    const resolve = createNameResolver({ servers: [server.address] });
    const left = new AbortController();
    let refused = 0;
    const all = Array.from({ length: limits.nameLookups + 8 }, async (_, index) => {
      const error = await resolve(`${index}x.silent`, left.signal).catch(
        (reason: unknown) => reason,
      );
      if ((error as { code?: string }).code !== 'ERR_DIAL_FAILED') return;
      refused += 1;
      if (refused === 8) left.abort();
    });
    await Promise.all(all);
    assert.equal(refused, 8);
    assert.deepEqual(await resolve('www.example'), ['192.0.2.1']);
  });
});
