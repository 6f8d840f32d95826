/** A daemon and its directory: whose it is, and what is written into it when. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectControl } from '../../src/control/node/client.ts';
import { startEngine } from '../support/engine.ts';
import { listen } from '../support/sockets.ts';

describe('the data directory', () => {
  test('belongs to one daemon; a second one says who has it, and the first keeps its controllers', async (t) => {
    const lines = 'ControlPort auto\nCookieAuthentication 1\n';
    const first = await startEngine(t, lines);
    const path = join(first.directory, 'control_auth_cookie');
    const cookie = await readFile(path);
    await assert.rejects(
      startEngine(t, `${lines}ServerTransportPlugin obfs4 builtin\n`, {
        localDefaults: { DataDirectory: first.directory },
      }),
      {
        code: 'ERR_DIRECTORY_IN_USE',
        message: `DataDirectory: process ${process.pid} uses ${first.directory}`,
      },
    );
    assert.deepEqual(await readFile(path), cookie);
    const control = await connectControl(first.engine.endpoints.control[0]!, { secret: cookie });
    await control.close();
    await first.engine.close();
    // Given back with the end.
    const next = await startEngine(t, lines, {
      localDefaults: { DataDirectory: first.directory },
    });
    assert.notDeepEqual(await readFile(path), cookie);
    await next.engine.close();
  });

  test('keeps its cookie from a daemon that does not come up', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-daemon-'));
    t.after(() => rm(directory, { recursive: true }));
    const path = join(directory, 'control_auth_cookie');
    await writeFile(path, 'another one’s');
    const taken = await listen(t, () => {});
    for (const lines of [
      `ControlPort auto\nControlPort ${taken.endpoint.port}\n`,
      `ControlPort auto\nORPort ${taken.endpoint.port}\n`,
    ]) {
      await assert.rejects(
        startEngine(t, `CookieAuthentication 1\n${lines}`, {
          localDefaults: { DataDirectory: directory },
        }),
        { code: 'ERR_LISTEN_IN_USE' },
      );
      assert.equal(await readFile(path, 'utf8'), 'another one’s');
    }
  });
});
