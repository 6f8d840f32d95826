/** `postern doctor`: each thing that can be wrong, on a machine that a test has made up. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { Finding } from '../../src/cli/doctor/findings.ts';
import {
  lookAtAppArmor,
  lookAtDescriptors,
  lookAtNode,
  lookAtPorts,
  type Machine,
} from '../../src/cli/doctor/machine.ts';
import { listen as listenTransport } from '../../src/index.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { startCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { postern } from '../support/pt-programs.ts';
import { closedPort, echo } from '../support/sockets.ts';

/** A machine with these files. */
function machine(t: TestContext, files: Readonly<Record<string, string>> = {}): Machine {
  const root = temporaryDirectory(t);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return {
    root,
    nodeVersion: '24.1.0',
    nodePath: '/usr/bin/node',
    todayMs: Date.UTC(2026, 11),
    uid: 1000,
  };
}

const levels = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ level }) => level);

describe('doctor, of the machine', () => {
  test('a Node that nobody mends any more', (t) => {
    assert.equal(lookAtNode(machine(t)).level, 'ok');
    assert.match(lookAtNode({ ...machine(t), nodeVersion: '20.19.0' }).text, /no security fixes/);
  });

  test('few descriptors', async (t) => {
    const limits = (hard: number) => ({
      '/proc/self/limits': `Max open files            1024                 ${hard}               files\n`,
    });
    const few = await lookAtDescriptors(machine(t, limits(1024)));
    assert.match(few.text, /1024 files .* 480 connections/);
    assert.match(few.mend!, /LimitNOFILE/);
    assert.equal((await lookAtDescriptors(machine(t, limits(524_288)))).level, 'ok');
  });

  test('a port below 1024, with and without the right to it', async (t) => {
    const status = (bits: string) => ({ '/proc/self/status': `Name: node\nCapEff:\t${bits}\n` });
    const none = machine(t, status('0000000000000000'));
    assert.deepEqual(await lookAtPorts(none, [9050, 0]), []);
    const [refused] = await lookAtPorts(none, [443, 9050]);
    assert.equal(refused!.level, 'problem');
    assert.match(refused!.mend!, /setcap cap_net_bind_service=\+ep \/usr\/bin\/node/);
    assert.deepEqual(levels(await lookAtPorts(machine(t, status('0000000000000400')), [443])), [
      'ok',
    ]);
    const lowered = machine(t, {
      ...status('0000000000000000'),
      '/proc/sys/net/ipv4/ip_unprivileged_port_start': '80\n',
    });
    assert.deepEqual(await lookAtPorts(lowered, [443]), []);
  });

  test('tor’s AppArmor profile, which may have a line for us', async (t) => {
    const profile = {
      '/etc/apparmor.d/system_tor': 'profile system_tor {}\n',
      '/sys/module/apparmor/parameters/enabled': 'Y\n',
    };
    assert.deepEqual(await lookAtAppArmor(machine(t)), []);
    const [missing] = await lookAtAppArmor(machine(t, profile));
    assert.match(missing!.mend!, /postern PUx,.*local\/system_tor/);
    const local = '/etc/apparmor.d/local/system_tor';
    for (const [text, level] of [
      ['# /usr/local/bin/postern PUx,\n', 'note'],
      ['/usr/local/bin/postern PUx,\n', 'ok'],
    ] as const) {
      assert.deepEqual(levels(await lookAtAppArmor(machine(t, { ...profile, [local]: text }))), [
        level,
      ]);
    }
  });
});

describe('postern doctor -f', () => {
  async function look(t: TestContext, torrc: string, prepare = (_directory: string): void => {}) {
    const folder = temporaryDirectory(t);
    const directory = join(folder, 'data');
    mkdirSync(directory, { mode: 0o700 });
    prepare(directory);
    const path = join(folder, 'torrc');
    writeFileSync(path, `DataDirectory ${directory}\n${torrc}`);
    const command = startCommand(['doctor', '--json', '-f', path], { HOME: folder });
    const exitCode = await command.exitCode;
    return { exitCode, findings: JSON.parse(command.stdout.text) as readonly Finding[] };
  }

  test('a configuration with a bridge that works and one that does not', async (t) => {
    const bridge = await listenTransport(
      { transport: 'obfs4', host: '127.0.0.1', port: 0, stateDir: temporaryDirectory(t) },
      echo,
    );
    t.after(() => bridge.abort());
    const lines = `UseBridges 1\nClientTransportPlugin obfs3,obfs4 builtin\nBridge ${bridge.bridgeLine}\n`;
    const well = await look(t, lines);
    assert.equal(well.exitCode, 0, JSON.stringify(well.findings));
    assert.ok(well.findings.some(({ text }) => text === 'bridge 1 (obfs4) works'));
    const unwell = await look(t, `${lines}Bridge obfs3 ${formatEndpoint(await closedPort())}\n`);
    assert.equal(unwell.exitCode, 1);
    const [found] = unwell.findings.filter(({ level }) => level === 'problem');
    assert.match(found!.text, /^bridge 2 \(obfs3\): .*ECONNREFUSED/);
    assert.ok(!JSON.stringify(unwell.findings).includes('127.0.0.1'));
  });

  test('a program in the home directory is started from there', async (t) => {
    const bridge = await listenTransport(
      { transport: 'obfs4', host: '127.0.0.1', port: 0, stateDir: temporaryDirectory(t) },
      echo,
    );
    t.after(() => bridge.abort());
    const { findings } = await look(
      t,
      `UseBridges 1\nClientTransportPlugin obfs4 exec ~/data/pt\nBridge ${bridge.bridgeLine}\n`,
      (directory) => {
        const script = `#!/bin/sh\nexec ${postern.command.join(' ')}\n`;
        writeFileSync(join(directory, 'pt'), script, { mode: 0o755 });
      },
    );
    assert.ok(
      findings.some(({ text }) => text === 'bridge 1 (obfs4) works'),
      JSON.stringify(findings),
    );
  });

  test('a torrc that does not start, and a data directory that is open to others', async (t) => {
    const faulty = await look(t, 'SocksPort nonsense\n');
    assert.equal(faulty.exitCode, 1);
    assert.ok(
      faulty.findings.some(({ level, text }) => level === 'problem' && /SocksPort/.test(text)),
    );
    const open = await look(t, '', (directory) => chmodSync(directory, 0o755));
    const [found] = open.findings.filter(({ text }) => /open to others/.test(text));
    assert.match(found!.mend!, /^chmod 700 /);
  });

  test('without a torrc it looks at the machine', async () => {
    const command = startCommand(['doctor']);
    await command.exitCode;
    assert.match(command.stdout.text, /^(?:ok|note) +Node \d+/);
  });
});
