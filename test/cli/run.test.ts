/** `postern run`: the daemon in this process, and as real processes with curl before and after it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { ExitCode } from '../../src/cli/context.ts';
import { Configuration } from '../../src/config/configuration.ts';
import { connectControl } from '../../src/control/node/client.ts';
import { startCommand } from '../support/command.ts';
import { DaemonProcess } from '../support/daemon-process.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';

const env = { XDG_STATE_HOME: '/nonexistent' };

/** What makes a daemon the one or the other; the bridge of the line does not run. */
const ROLES = {
  client: `SocksPort auto
UseBridges 1
ClientTransportPlugin obfs4 builtin
Bridge obfs4 127.0.0.1:9 cert=RZEeg1Yf4xE72QQ1aFcMZ3NegNDw7LVN7KGv3RX/ZxCjzLcsuKvBe3K6MBfkDFnROTRKHg iat-mode=0
`,
  bridge: `SocksPort 0
ServerTransportPlugin obfs4 builtin
ServerTransportListenAddr obfs4 127.0.0.1:0
`,
};

describe('postern run, in this process', () => {
  test('obeys the signals of a daemon, and ends at the first Ctrl-C', async (t) => {
    const directory = temporaryDirectory(t);
    const torrc = join(directory, 'torrc');
    await writeFile(torrc, `DataDirectory ${directory}\nSocksPort auto\n`);
    const command = startCommand(['run', '-f', torrc], env);
    await command.stdout.match(/\[notice\] SocksPort 127\.0\.0\.1:[0-9]+ is open/);
    command.send('SIGUSR1');
    await command.stdout.match(/\[notice\] 0 links, 0 circuits, 0 streams/);
    await writeFile(torrc, `DataDirectory ${directory}\nSocksPort 0\nHTTPTunnelPort auto\n`);
    command.send('SIGHUP');
    await command.stdout.match(/\[notice\] HTTPTunnelPort 127\.0\.0\.1:[0-9]+ is open/);
    await writeFile(torrc, 'Nonsense 1\n');
    command.send('SIGHUP');
    await command.stdout.match(/\[warn\] The torrc was not loaded.* Nonsense/);
    command.send('SIGUSR2');
    await command.stdout.match(/\[notice\] All logs write everything now/);
    command.drain();
    assert.equal(await command.exitCode, ExitCode.ok);
  });

  test('told to end now it says that and nothing else, bridge or not', async (t) => {
    for (const [role, lines] of Object.entries(ROLES)) {
      const directory = temporaryDirectory(t);
      const torrc = join(directory, 'torrc');
      await writeFile(torrc, `DataDirectory ${directory}\nControlPort auto\n${lines}`);
      const command = startCommand(['run', '-f', torrc], env);
      await command.stdout.match(/Controllers connect to/);
      command.stop();
      assert.equal(await command.exitCode, ExitCode.ok, role);
      await command.stdout.match(/\[notice\] Ending now\.\n/);
      assert.doesNotMatch(command.stdout.text, /No new connections/);
    }
  });

  test('--verify says whether a torrc is valid, and starts nothing', async (t) => {
    const torrc = join(temporaryDirectory(t), 'torrc');
    await writeFile(torrc, `DataDirectory ${dirname(torrc)}\nSocksPort 9050\n`);
    const good = startCommand(['run', '-f', torrc, '--verify'], env);
    assert.equal(await good.exitCode, ExitCode.ok);
    await good.stderr.match(/is valid/);
    await writeFile(torrc, 'SocksPort 9050\nSocksPort nonsense\n');
    const bad = startCommand(['run', '-f', torrc, '--verify'], env);
    assert.equal(await bad.exitCode, ExitCode.failed);
    await bad.stderr.match(/SocksPort \(line 2\): must be a port.*\n.*What to do/);
  });

  test('says what is wrong with a torrc that is not there, or asks for what cannot be', async (t) => {
    const directory = temporaryDirectory(t);
    const missing = startCommand(['run', '-f', join(directory, 'none')], env);
    assert.equal(await missing.exitCode, ExitCode.failed);
    await missing.stderr.match(/ERR_CONFIG_FILE/);
    const torrc = join(directory, 'torrc');
    await writeFile(torrc, `DataDirectory ${directory}\nLog notice file /dev/null/log\n`);
    const failing = startCommand(['run', '-f', torrc], env);
    assert.equal(await failing.exitCode, ExitCode.failed);
    await failing.stderr.match(/ERR_LOG_FILE/);
    assert.equal(await startCommand(['run'], env).exitCode, ExitCode.usage);
  });
});

const curl = peerProgram('curl');

describe('postern run, as two processes', () => {
  test(
    'a page through both daemons, by SOCKS and by an HTTP tunnel',
    { skip: curl === undefined && 'curl is not installed' },
    async (t) => {
      const server = createServer((request, response) => response.end(`page ${request.url}`));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => void server.close());
      const { port } = server.address() as AddressInfo;

      const directory = temporaryDirectory(t);
      const bridgeTorrc = join(directory, 'bridge.torrc');
      await writeFile(
        bridgeTorrc,
        `DataDirectory ${directory}/bridge
SocksPort 0
ServerTransportPlugin obfs4 builtin
ServerTransportListenAddr obfs4 127.0.0.1:0
ExitPolicyRejectPrivate 0
ShutdownWaitLength 0
`,
      );
      const bridge = new DaemonProcess(t, bridgeTorrc);
      const [, linesFile] = await bridge.line(/what clients need is in (.*)$/);
      const clientTorrc = join(directory, 'client.torrc');
      await writeFile(
        clientTorrc,
        `DataDirectory ${directory}/client
SocksPort auto
HTTPTunnelPort auto
UseBridges 1
ClientTransportPlugin obfs4 builtin
${await readFile(linesFile!, 'utf8')}`,
      );
      const client = new DaemonProcess(t, clientTorrc);
      const socks = await client.address(/SocksPort (\S+) is open/);
      const tunnel = await client.address(/HTTPTunnelPort (\S+) is open/);
      const get = async (...args: string[]): Promise<string> =>
        (await promisify(execFile)(curl!, ['-sS', ...args])).stdout;
      const url = `http://localhost:${port}`;
      assert.equal(
        await get('--socks5-hostname', `127.0.0.1:${socks.port}`, `${url}/socks`),
        'page /socks',
      );
      assert.equal(
        await get('--proxytunnel', '-x', `http://127.0.0.1:${tunnel.port}`, `${url}/tunnel`),
        'page /tunnel',
      );
      for (const [daemon, signal] of [
        [client, 'SIGTERM'],
        [bridge, 'SIGINT'],
      ] as const) {
        daemon.process.kill(signal);
        assert.deepEqual(await daemon.ended, { exitCode: 0, signal: null });
      }
    },
  );

  for (const [role, lines] of Object.entries(ROLES)) {
    test(`[TC-3.9-02] a ${role} killed while it saves, again and again: a valid torrc each time`, async (t) => {
      const directory = temporaryDirectory(t);
      const torrc = join(directory, 'torrc');
      const common = `DataDirectory ${directory}\nControlPort auto\n`;
      writeFileSync(torrc, `# kept\n${common}${lines}`);
      const rounds = Number(process.env['POSTERN_KILLS'] ?? 3);
      for (let round = 0; round < rounds; round += 1) {
        const daemon = new DaemonProcess(t, torrc);
        const control = await connectControl(await daemon.address(/Controllers connect to (\S+)/));
        // Saves follow each other until the connection breaks; the kill falls anywhere between.
        const saves = (async () => {
          for (let turn = 0; ; turn += 1) {
            const value = `r${round}t${turn}`.padEnd(1 + (turn % 19), 'x').slice(0, 19);
            await control.setConf([{ key: 'Nickname', value }]);
            await control.saveConf();
            if (turn === round % 7)
              setTimeout(() => daemon.process.kill('SIGKILL'), Math.random() * 5);
          }
        })();
        await assert.rejects(saves);
        await daemon.ended;
        const text = readFileSync(torrc, 'utf8');
        assert.match(text, /^# kept\n/);
        assert.match(Configuration.parse(text).values.Nickname, /^r[0-9]+t[0-9]+x*$/);
      }
    });
  }
});
