/** `Daemon.verify`: whatever a start would stumble over it finds, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Daemon } from '../../src/engine/daemon.ts';
import type { DaemonOptions } from '../../src/engine/daemon-options.ts';
import { startEngine, memoryTorrc } from '../support/engine.ts';
import { Output } from '../support/command.ts';
import { listen } from '../support/sockets.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

function temporary(t: Cleanup): string {
  const directory = mkdtempSync(join(tmpdir(), 'postern-verify-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

function optionsFor(directory: string, text: string): DaemonOptions {
  const output = new Output();
  return {
    torrc: memoryTorrc(text),
    localDefaults: { DataDirectory: directory },
    home: directory,
    env: process.env,
    ownCommand: [],
    stdout: output,
    stderr: output,
  };
}

const CERT = 'RZEeg1Yf4xE72QQ1aFcMZ3NegNDw7LVN7KGv3RX/ZxCjzLcsuKvBe3K6MBfkDFnROTRKHg';
const CLIENT = 'UseBridges 1\nClientTransportPlugin obfs4 builtin\n';
const SERVER = 'ServerTransportPlugin obfs4 builtin\n';
const bridge = (args: string, address = '192.0.2.1:443'): string =>
  `${CLIENT}Bridge obfs4 ${address} ${args}\n`;

describe('Daemon.verify', () => {
  test('takes what would start, ports in use included, and leaves nothing behind', async (t) => {
    const directory = temporary(t);
    const taken = await listen(t, () => {});
    const lines = [
      bridge(`cert=${CERT} iat-mode=0`),
      SERVER,
      `SocksPort ${taken.endpoint.port}`,
      `ControlPort ${taken.endpoint.port}`,
      `ControlSocket ${directory}/control`,
      'CookieAuthentication 1',
      `Log info file ${directory}/log`,
      `DataDirectory ${directory}/deep/data`,
      'ServerTransportOptions obfs4 iat-mode=2',
    ];
    assert.deepEqual(await Daemon.verify(optionsFor(directory, lines.join('\n'))), []);
    assert.deepEqual(readdirSync(directory), []);
  });

  test('of a daemon that runs says so, and leaves it alone', async (t) => {
    const running = await startEngine(t, `${SERVER}CookieAuthentication 1\nControlPort auto\n`);
    // `bridge-lines` is written behind our back.
    const files = (): string[] =>
      readdirSync(running.directory, { recursive: true })
        .map(String)
        .filter((name) => !name.startsWith('bridge-lines'))
        .toSorted((one, other) => one.localeCompare(other));
    const before = files();
    const notes = await Daemon.verify(optionsFor(running.directory, `${SERVER}ControlPort auto\n`));
    assert.deepEqual(notes, [
      `DataDirectory: process ${process.pid} uses ${running.directory}; it can be reloaded`,
    ]);
    assert.deepEqual(files(), before);
  });

  test('warns of what others wrote', async (t) => {
    const text = bridge(`cert=${CERT} iat-mode=0 iat=1 colour=red`);
    assert.deepEqual(await Daemon.verify(optionsFor(temporary(t), text)), [
      'obfs4 does not know `iat`, `colour` in the bridge line, and goes without',
    ]);
  });

  test('judges no arguments of a program’s transport, whatever its name', async (t) => {
    const text =
      'UseBridges 1\nClientTransportPlugin obfs4 exec /bin/true\nBridge obfs4 192.0.2.1:1 colour=red\n' +
      'ORPort 0\nServerTransportPlugin obfs4 exec /bin/true\nServerTransportOptions obfs4 colour=red\n';
    assert.deepEqual(await Daemon.verify(optionsFor(temporary(t), text)), []);
  });

  test('refuses what would not start, as the start does', async (t) => {
    const directory = temporary(t);
    writeFileSync(join(directory, 'file'), '', { mode: 0o600 });
    mkdirSync(join(directory, 'open'));
    chmodSync(join(directory, 'open'), 0o777);
    const plain = 'Bridge 192.0.2.1:1\nBridge 192.0.2.2:1\n';
    const wrong: readonly (readonly [text: string, code: string, message: RegExp])[] = [
      [bridge('cert=abc iat-mode=0'), 'ERR_TRANSPORT_ARGUMENT', /^Bridge: obfs4: `cert`/],
      [bridge(`cert=${CERT} iat-mode=9`), 'ERR_TRANSPORT_ARGUMENT', /iat-mode/],
      [bridge(`cert=${CERT}`), 'ERR_TRANSPORT_ARGUMENT', /iat-mode/],
      [bridge(`cert=${CERT} iat-mode=0`, '0.0.0.0:443'), 'ERR_CONFIG_VALUE', /is a wildcard/],
      [bridge(`cert=${CERT} iat-mode=0`, '[::]:443'), 'ERR_CONFIG_VALUE', /is a wildcard/],
      [`${SERVER}ServerTransportOptions obfs4 iat-mode=9`, 'ERR_TRANSPORT_OPTION', /iat-mode/],
      [
        `${SERVER}ServerTransportOptions obfs4 iat=1`,
        'ERR_TRANSPORT_OPTION',
        /^ServerTransportPlugin: obfs4: there is no option `iat`; there are .*`iat-mode`/,
      ],
      ['ServerTransportPlugin obfs9 builtin', 'ERR_TRANSPORT_UNKNOWN', /ServerTransportPlugin/],
      ['ServerTransportPlugin x exec /nonexistent', 'ERR_PARENT_SPAWN', /ENOENT/],
      [`ServerTransportPlugin x exec ${directory}/file`, 'ERR_PARENT_SPAWN', /EACCES/],
      [`ServerTransportPlugin x exec ${directory}`, 'ERR_PARENT_SPAWN', /is no file/],
      [
        'UseBridges 1\nClientTransportPlugin x exec /nonexistent\nBridge x 192.0.2.1:1',
        'ERR_PARENT_SPAWN',
        /^ClientTransportPlugin/,
      ],
      ['Log info file /nonexistent/log', 'ERR_LOG_FILE', /ENOENT/],
      ['DataDirectory /proc/nope', 'ERR_DIRECTORY_UNUSABLE', /^DataDirectory: .*ENOENT/],
      [`DataDirectory ${directory}/file/data`, 'ERR_DIRECTORY_UNUSABLE', /ENOTDIR/],
      [`ControlSocket ${directory}/open/c`, 'ERR_UNIX_SOCKET', /^ControlSocket/],
      [`ControlSocket ${directory}/${'x'.repeat(100)}`, 'ERR_SOCKET_PATH', /takes 107/],
      ['CookieAuthentication 1\nCookieAuthFile /nonexistent/c', 'ERR_CONTROL_COOKIE', /ENOENT/],
      ['ExtORPort 127.0.0.2:1', 'ERR_CONFIG_VALUE', /ExtORPort/],
      ['MapAddress 0.0.0.0 a.example', 'ERR_CONFIG_VALUE', /MapAddress/],
      [
        `UseBridges 1\nCircuitHops 2\n${plain.replaceAll('.2:', '.1:')}`,
        'ERR_CONFIG_VALUE',
        /same/,
      ],
    ];
    for (const [text, code, message] of wrong) {
      const options = optionsFor(directory, `SocksPort 0\n${text}\n`);
      await assert.rejects(Daemon.verify(options), { code, message }, text);
      await assert.rejects(Daemon.start(options), { code }, text);
    }
    assert.deepEqual(
      readdirSync(directory).filter((name) => name === 'deep'),
      [],
    );
  });

  test('a bridge that no plugin carries out is no program', async (t) => {
    const lines = 'UseBridges 1\nCircuitHops 2\nBridge x 192.0.2.1:1\nBridge y 192.0.2.2:1\n';
    const notes = await Daemon.verify(optionsFor(temporary(t), lines));
    assert.equal(notes.filter((note) => /no ClientTransportPlugin line/.test(note)).length, 2);
  });

  test('refuses an identity that is damaged, and one that is whole it leaves as it is', async (t) => {
    const directory = temporary(t);
    const daemon = await Daemon.start(optionsFor(directory, `SocksPort 0\n${SERVER}`));
    await daemon.close();
    const names = readdirSync(join(directory, 'pt_state')).toSorted();
    assert.deepEqual(await Daemon.verify(optionsFor(directory, SERVER)), []);
    assert.deepEqual(readdirSync(join(directory, 'pt_state')).toSorted(), names);
    for (const name of names.filter((one) => one.startsWith('obfs4_state'))) {
      writeFileSync(join(directory, 'pt_state', name), '{');
    }
    await assert.rejects(Daemon.verify(optionsFor(directory, SERVER)), {
      code: 'ERR_TRANSPORT_STATE',
    });
  });
});
