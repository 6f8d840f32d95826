/** Lines of Tor's torrc whose meaning shows only in a daemon that runs. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Daemon } from '../../src/engine/daemon.ts';
import { runExchange } from '../../src/net/exchange.ts';
import { createSocksClient } from '../../src/socks/client.ts';
import { Output, type RunningCommand, startCommand } from '../support/command.ts';
import {
  connectThrough,
  memoryTorrc,
  socksFailure,
  startBridge,
  startClient,
  startEngine,
} from '../support/engine.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { dial, echo, listen, readBytes } from '../support/sockets.ts';
import { offline, startTorDaemon } from '../support/tor-engine.ts';
import { torMissing } from '../support/tor.ts';

const notAllowed = 2;

/** A daemon that is started in a directory, as by a shell that stands there. */
async function runIn<T>(directory: string, act: () => Promise<T> | T): Promise<T> {
  const before = process.cwd();
  process.chdir(directory);
  try {
    return await act();
  } finally {
    process.chdir(before);
  }
}

function startDaemon(t: TestContext, directory: string, lines: string): RunningCommand {
  writeFileSync(join(directory, 'torrc'), lines);
  const daemon = startCommand(['run', '-f', join(directory, 'torrc')]);
  t.after(async () => {
    daemon.stop();
    await daemon.exitCode;
  });
  return daemon;
}

function verify(directory: string, lines: string): Promise<readonly string[]> {
  return Daemon.verify({
    torrc: memoryTorrc(`DataDirectory ${directory}\n${lines}`),
    home: directory,
    env: process.env,
    stdout: new Output(),
    stderr: new Output(),
    ownCommand: ['/postern'],
  });
}

describe('SocksPort', () => {
  test('on a Unix socket carries streams, for those whom its flags name', async (t) => {
    const service = await listen(t, echo);
    const bridge = await startBridge(t);
    for (const [flags, mode] of [
      ['', 0o600],
      [' GroupWritable', 0o660],
      [' WorldWritable IsolateDestAddr', 0o666],
    ] as const) {
      const directory = temporaryDirectory(t);
      const path = join(directory, 'my socks');
      const client = await startClient(t, [bridge], `SocksPort unix:"${path}"${flags}\n`);
      assert.equal(statSync(path).mode & 0o777, mode);
      const stream = connect(path);
      await runExchange(stream, createSocksClient({ version: 'socks5', target: service.endpoint }));
      stream.write('over a file');
      assert.equal((await readBytes(stream, 11)).toString(), 'over a file');
      stream.destroy();
      // A change keeps it where it is.
      await client.engine.setConf('MaxCircuitDirtiness 30\n');
      assert.ok(existsSync(path));
      await client.engine.close();
      assert.equal(existsSync(path), false);
    }
  });

  test('is not put where others could take its place, and that shows before the start', async (t) => {
    const directory = temporaryDirectory(t);
    chmodSync(directory, 0o777);
    const line = `SocksPort unix:${directory}/socks\n`;
    const expected = { code: 'ERR_UNIX_SOCKET', message: /^SocksPort: .*open to other users/ };
    await assert.rejects(startEngine(t, line), expected);
    const data = temporaryDirectory(t);
    await assert.rejects(verify(data, line), expected);
  });

  test('lets through what its flags let through, and says what they refuse', async (t) => {
    const service = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startClient(
      t,
      [bridge],
      'SocksPort auto OnionTrafficOnly\nSocksPort auto NoDNSRequest\nMapAddress mapped.example 127.0.0.1\n',
    );
    const [open, onion, addresses] = client.engine.endpoints.socks;
    assert.equal(await socksFailure(onion!, service.endpoint), notAllowed);
    assert.equal(await socksFailure(addresses!, { host: 'a.example', port: 1 }), notAllowed);
    await client.until(
      (event) =>
        event.type === 'log' &&
        /^stream \d+ failed: its port lets no names through.*ERR_PORT_TRAFFIC/.test(event.message),
    );
    // What is asked for is what counts after it was mapped, as with Tor.
    const { port } = service.endpoint;
    assert.equal(await socksFailure(addresses!, { host: 'mapped.example', port }), 0);
    assert.equal(await socksFailure(open!, service.endpoint), 0);
  });

  test('for one family has the bridge look names up for that family alone', async (t) => {
    const bridge = await startBridge(t);
    const only = 'SocksPort auto NoIPv6Traffic\nSocksPort auto NoIPv4Traffic\n';
    const client = await startClient(t, [bridge], only);
    const [, ipv4, ipv6] = client.engine.endpoints.socks;
    for (const [host, good, bad] of [
      ['127.0.0.1', ipv4, ipv6],
      ['::1', ipv6, ipv4],
    ] as const) {
      const { port } = (await listen(t, echo, host)).endpoint;
      assert.equal(await socksFailure(good!, { host: 'localhost', port }), 0);
      assert.notEqual(await socksFailure(bad!, { host: 'localhost', port }), 0);
      assert.equal(await socksFailure(bad!, { host, port }), notAllowed);
    }
  });
});

test('ORPort may stand several times; one with NoListen is somebody else’s to open', async (t) => {
  const { engine } = await startEngine(
    t,
    'ORPort auto NoAdvertise\nORPort auto IPv4Only\nORPort 1 NoListen\n',
  );
  const { orPort } = engine.endpoints;
  (await dial(orPort!)).destroy();
});

test('a bridge that no plugin carries out is said at once, and why its streams fail', async (t) => {
  const line = 'Bridge obfs4 192.0.2.1:1 cert=x';
  const notes = await verify(temporaryDirectory(t), `SocksPort 0\nUseBridges 1\n${line}\n`);
  const lost = /^Bridge: no ClientTransportPlugin line carries out obfs4/;
  assert.match(notes.join('\n'), lost);
  const client = await startEngine(t, `SocksPort auto\nUseBridges 1\n${line}\n`);
  const asked = socksFailure(client.engine.endpoints.socks[0]!, { host: '192.0.2.9', port: 80 });
  await client.until(
    (event) =>
      event.type === 'log' &&
      /^bridge \S+ cannot be reached: no ClientTransportPlugin line carries out obfs4/.test(
        event.message,
      ),
  );
  await client.engine.close();
  await asked.catch(() => {});
});

test('of two plugin lines for one transport the first is used, and the other not started', async (t) => {
  const bridge = await startBridge(t);
  const service = await listen(t, echo);
  const client = await startClient(
    t,
    [bridge],
    'ClientTransportPlugin obfs4 exec /nonexistent/obfs4proxy\n',
  );
  const stream = await connectThrough(client, service.endpoint);
  stream.destroy();
  const server = await startEngine(
    t,
    'ServerTransportPlugin obfs3 builtin\nServerTransportPlugin obfs3 exec /nonexistent/obfs4proxy\n',
  );
  assert.equal(server.engine.bridgeLines.length, 1);
});

describe('a relative path', () => {
  test('is one of the directory in which the daemon was started', async (t) => {
    const directory = temporaryDirectory(t);
    await runIn(directory, async () => {
      const daemon = startDaemon(
        t,
        directory,
        'DataDirectory data\nSocksPort unix:socks\nControlSocket ctl\nLog notice stdout\nLog notice file notices.log\nCookieAuthentication 1\n',
      );
      await daemon.stdout.match(/Controllers connect to/);
      for (const name of ['data/control_auth_cookie', 'socks', 'ctl', 'notices.log']) {
        assert.ok(existsSync(join(directory, name)), name);
      }
      const said = `[warn] DataDirectory: the path is relative, and means ${directory}/data`;
      assert.ok(daemon.stdout.text.includes(said));
    });
  });

  test('of a program, too, which is searched for nowhere else', async (t) => {
    const directory = temporaryDirectory(t);
    const program = join(directory, 'pt');
    writeFileSync(program, '#!/bin/sh\necho VERSION 1\necho SMETHODS DONE\n');
    const plugin = 'ServerTransportPlugin obfs3 exec ';
    await runIn(directory, async () => {
      await assert.rejects(verify(directory, `${plugin}pt\n`), {
        message: /pt cannot be started \(EACCES\)/,
      });
      chmodSync(program, 0o755);
      await verify(directory, `${plugin}pt\n`);
      await verify(directory, `${plugin}./pt\n`);
      await verify(directory, `${plugin}~/pt\n`);
      await assert.rejects(verify(directory, `${plugin}~/other\n`), {
        message: new RegExp(`~/other cannot be started .*: the path means ${directory}/other$`),
      });
      await assert.rejects(verify(directory, `${plugin}env\n`), {
        code: 'ERR_PARENT_SPAWN',
        message: /looked for where the daemon was started, and nowhere else; .*`command -v`/,
      });
      // Started, it has no obfs3 to offer: so it was this one.
      for (const path of ['pt', '~/pt']) {
        await assert.rejects(startEngine(t, `${plugin}${path}\n`, { home: directory }), {
          code: 'ERR_PARENT_TRANSPORT',
        });
      }
    });
  });
});

test('Address may be a name, which is looked up for the bridge lines; one that leads nowhere is said', async (t) => {
  const lines = 'Address localhost\nORPort 0\n';
  const { directory, ...recorded } = await startBridge(t, lines);
  await recorded.until(
    (event) => event.type === 'log' && /what clients need is in/.test(event.message),
  );
  const text = readFileSync(join(directory, 'bridge-lines'), 'utf8');
  assert.match(text, /^Bridge obfs4 127\.0\.0\.1:\d+ [^]*^Bridge obfs4 \[::1\]:\d+ /m);
  // Nothing is ever found below .invalid (RFC 6761).
  const daemon = startDaemon(
    t,
    temporaryDirectory(t),
    `DataDirectory ${temporaryDirectory(t)}\nSocksPort 0\nAddress gate.invalid\nServerTransportPlugin obfs3 builtin\n`,
  );
  await daemon.stdout.match(
    /\[warn\] Address: the host name cannot be looked up, and no bridge line has it: .*A reload tries again\./,
  );
});

test('Log takes Tor’s domains: what a line is about', async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name: string): string => join(directory, name);
  const daemon = startDaemon(
    t,
    directory,
    [
      `DataDirectory ${directory}`,
      'SocksPort auto',
      'ControlPort auto',
      'Log notice stdout',
      `Log [control]debug file ${file('control')}`,
      `Log [~control]debug file ${file('others')}`,
      `Log [rend]debug [app]notice file ${file('app')}`,
      `Log err-warn file ${file('none')}`,
      '',
    ].join('\n'),
  );
  await daemon.stdout.match(/Controllers connect to/);
  daemon.stop();
  await daemon.exitCode;
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  assert.match(read('control'), /Controllers connect to/);
  assert.doesNotMatch(read('control'), /SocksPort|no bridge/);
  assert.match(read('others'), /SocksPort .* is open/);
  assert.doesNotMatch(read('others'), /Controllers/);
  assert.match(read('app'), /^\S+ \[notice\] SocksPort .* is open$/m);
  assert.doesNotMatch(read('app'), /Controllers|Ending/);
  assert.equal(read('none'), '');
});

test('with Engine tor each line of Tor’s has its own domain', { skip: torMissing }, async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name: string): string => join(directory, name);
  const { daemon } = await startTorDaemon(
    t,
    `${offline}Log [control]notice file ${file('control')}\nLog [~control]notice file ${file('others')}\n`,
  );
  await daemon.close();
  const [control, others] = ['control', 'others'].map((name) => readFileSync(file(name), 'utf8'));
  assert.match(control!, /Controllers connect to/);
  assert.doesNotMatch(control!, /DisableNetwork is set/);
  assert.match(others!, /DisableNetwork is set/);
  // It is asked for the domains for our sake, and they are not shown.
  assert.doesNotMatch(control! + others!, /\] \{[A-Z]+\}/);
});

test(
  'with Engine tor a line whose domain Tor does not tell may be of any',
  { skip: torMissing },
  async (t) => {
    const directory = temporaryDirectory(t);
    const file = join(directory, 'net');
    const { daemon } = await startTorDaemon(
      t,
      `${offline}LogMessageDomains 0\nLog [net]notice file ${file}\n`,
    );
    await daemon.close();
    assert.match(readFileSync(file, 'utf8'), /DisableNetwork is set/);
  },
);

test('what Tor takes and we cannot use is said again only when it changes', async (t) => {
  const { engine, events } = await startEngine(t, 'SocksPort auto Foo\n');
  const count = (pattern: RegExp): number =>
    events.filter((event) => event.type === 'log' && pattern.test(event.message)).length;
  await engine.setConf('Nickname one\n');
  assert.equal(count(/Foo is not used/), 0, 'said at the start, before this test listened');
  await engine.setConf('MapAddress a\n');
  await engine.setConf('Nickname two\n');
  assert.equal(count(/^MapAddress: a line is not used/), 1);
  await engine.setConf('SocksPort auto Bar\n');
  assert.equal(count(/^SocksPort: Bar is not used/), 1);
});
