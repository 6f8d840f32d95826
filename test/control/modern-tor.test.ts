import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { connectControl } from '../../src/control/node/client.ts';
import { readControlCookie } from '../../src/control/node/cookie-file.ts';
import { frame } from '../support/control.ts';
import { peerProgram } from '../support/peers.ts';
import { listen } from '../support/sockets.ts';

const tor = peerProgram('tor');
const unsupported = { code: 'ERR_CONTROL_V0_UNSUPPORTED', remedy: /Engine tor/ };

describe('a Tor that no longer speaks version 0', () => {
  test('its answer, recorded from Tor 0.4.9, becomes an error that says so', async (t) => {
    const text =
      'The v0 control protocol is not supported by Tor 0.1.2.17 and later; upgrade your controller.';
    const listener = await listen(t, (socket) => {
      socket.once('data', () => socket.end(frame(0, `\0\x01${text}\0\0`)));
    });
    await assert.rejects(connectControl(listener.endpoint), unsupported);
  });

  test(
    'the tor that is installed here answers so, and its cookie file passes our checks',
    { skip: tor === undefined && 'tor is not installed' },
    async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'postern-tor-'));
      const options = {
        DataDirectory: directory,
        ControlPort: 'auto',
        CookieAuthentication: '1',
        SocksPort: '0',
        DisableNetwork: '1',
        Log: 'notice stdout',
      };
      const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, value]);
      // An empty torrc, so that no file of this machine adds anything.
      const torrc = join(directory, 'torrc');
      await writeFile(torrc, '');
      const child = spawn(tor!, ['-f', torrc, '--defaults-torrc', torrc, ...args]);
      t.after(async () => {
        if (child.exitCode === null && child.kill()) await once(child, 'exit');
        await rm(directory, { recursive: true });
      });
      let port: number | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        const match = /Opened Control listener.* 127\.0\.0\.1:(\d+)/.exec(line);
        if (match !== null) port = Number(match[1]);
        if (port !== undefined && /Bootstrapped 0%/.test(line)) break;
      }
      assert.ok(port !== undefined, 'tor said no port');
      const secret = await readControlCookie(join(directory, 'control_auth_cookie'));
      const address = { host: '127.0.0.1', port };
      await assert.rejects(connectControl(address, { secret }), unsupported);
      await assert.rejects(connectControl(address), unsupported);
    },
  );
});
