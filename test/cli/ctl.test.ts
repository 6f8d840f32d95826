import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { ExitCode } from '../../src/cli/context.ts';
import { torrcFile } from '../../src/config/node.ts';
import { ConfigStore } from '../../src/config/store.ts';
import type { ControlSecrets } from '../../src/control/authentication.ts';
import { makeControlCookie, writeControlCookie } from '../../src/control/node/cookie-file.ts';
import { openControlPort, openControlSocket } from '../../src/control/node/listeners.ts';
import { ControlServer } from '../../src/control/node/server.ts';
import { hashPassphrase } from '../../src/crypto/passphrase.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import type { Listener } from '../../src/net/listener.ts';
import { type RunningCommand, startCommand } from '../support/command.ts';
import { FakeEngine } from '../support/control.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-ctl-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const torrc = join(folder, 'torrc');
const engine = new FakeEngine();
let secrets: ControlSecrets = {};
const server = new ControlServer({ engine, secrets: () => secrets, log: () => {} });
let listener: Listener;
let address = '';

after(async () => {
  listener.abort();
  await server.close();
});

before(async () => {
  listener = await openControlPort(server, { host: '127.0.0.1', port: 0 });
  address = `127.0.0.1:${listener.endpoint.port}`;
  writeFileSync(torrc, '# mine\nContactInfo alice\nControlPort 9051\nControlPort 9052\n');
  const store = await ConfigStore.open(torrcFile(torrc));
  engine.getConf = async (keys) => store.get(keys);
  engine.setConf = (lines) => store.set(lines);
  engine.saveConf = () => store.save();
});

function ctl(...args: string[]): RunningCommand {
  return startCommand(['ctl', '--control', address, ...args]);
}

async function outcome(command: RunningCommand): Promise<[number, string, string]> {
  const exitCode = await command.exitCode;
  return [exitCode, command.stdout.text, command.stderr.text];
}

describe('ctl', () => {
  test('getconf prints a table, or JSON', async () => {
    assert.deepEqual(await outcome(ctl('getconf', 'controlport', 'UseBridges', 'Nickname')), [
      ExitCode.ok,
      'ControlPort  9051\nControlPort  9052\nUseBridges   0\nNickname     Unnamed\n',
      '',
    ]);
    const [, json] = await outcome(ctl('getconf', 'ContactInfo', '--json'));
    assert.deepEqual(JSON.parse(json), [{ key: 'ContactInfo', value: 'alice' }]);
  });

  test('getconf tells a person what is not set', async () => {
    assert.deepEqual(await outcome(ctl('getconf', 'Bridge', 'UseBridges')), [
      ExitCode.ok,
      'UseBridges  0\nBridge      (not set)\n',
      '',
    ]);
    assert.deepEqual(await outcome(ctl('getconf', '--json', 'Bridge')), [ExitCode.ok, '[]\n', '']);
  });

  test('setconf changes options, all or none, and saveconf writes them', async () => {
    const change = ['ContactInfo=a = "b" # c', 'ControlPort=1', 'ControlPort=2', 'Nickname='];
    assert.deepEqual(await outcome(ctl('setconf', ...change)), [ExitCode.ok, '', '']);
    const [, values] = await outcome(ctl('getconf', 'ContactInfo', 'ControlPort'));
    assert.equal(values, 'ContactInfo  a = "b" # c\nControlPort  1\nControlPort  2\n');

    const [exitCode, , stderr] = await outcome(ctl('setconf', 'ContactInfo=bob', 'Nope=1'));
    assert.equal(exitCode, ExitCode.failed);
    assert.match(stderr, /Nope \(line 2\)/);
    assert.equal((await outcome(ctl('getconf', 'ContactInfo')))[1], 'ContactInfo  a = "b" # c\n');

    assert.deepEqual(await outcome(ctl('saveconf')), [ExitCode.ok, '', '']);
    assert.equal(
      await torrcFile(torrc).read(),
      '# mine\nContactInfo "a = \\"b\\" # c"\nControlPort 1\nControlPort 2\n',
    );
  });

  test('signal takes the names of both worlds', async () => {
    for (const [name, signal] of [
      ['reload', 'reload'],
      ['HUP', 'reload'],
      ['SIGUSR1', 'dump'],
      ['debug', 'debug'],
      ['term', 'halt'],
      ['shutdown', 'shutdown'],
    ] as const) {
      assert.deepEqual(await outcome(ctl('signal', name)), [ExitCode.ok, '', '']);
      assert.equal(engine.signals.at(-1), signal);
    }
  });

  test('mapaddress prints the mapping, mappings all of them', async () => {
    const [exitCode, picked] = await outcome(ctl('mapaddress', '.', 'example.com', '--json'));
    assert.equal(exitCode, ExitCode.ok);
    const { from } = (JSON.parse(picked) as { from: string; to: string }[])[0]!;
    assert.match(from, /\.virtual\.invalid$/);
    assert.deepEqual(await outcome(ctl('mapaddress', '[2001:DB8::0:1]', 'a.onion')), [
      ExitCode.ok,
      '2001:db8::1  →  a.onion\n',
      '',
    ]);
    const width = from.length;
    assert.deepEqual(await outcome(ctl('mappings')), [
      ExitCode.ok,
      `${from}  →  example.com\n${'2001:db8::1'.padEnd(width)}  →  a.onion\n`,
      '',
    ]);
    const [refused, , stderr] = await outcome(ctl('mapaddress', '192.0.2.1', '0.0.0.0'));
    assert.equal(refused, ExitCode.failed);
    assert.match(stderr, /null address/);
  });

  test('events are printed as they happen, until Ctrl-C', async () => {
    const command = ctl('events', 'circuit', 'LOG', 'bandwidth');
    const told = (): void => {
      engine.emit({ type: 'circuit', status: 'built', id: 7, path: ['a', 'b'] });
      engine.emit({ type: 'stream', status: 'failed', id: 8, target: 'x:1' });
      engine.emit({ type: 'bandwidth', read: 1, written: 2 });
      engine.emit({ type: 'log', level: 'warn', message: 'a\x1b[2Jb' });
    };
    const telling = setInterval(told, 5);
    await command.stdout.match(/log/);
    clearInterval(telling);
    command.drain();
    const [exitCode, stdout] = await outcome(command);
    assert.equal(exitCode, ExitCode.ok);
    assert.match(
      stdout,
      /^[\d:]{8}  circuit 7       built           a,b\n[\d:]{8}  bandwidth       1 B\/s read      2 B\/s written\n[\d:]{8}  log             a \[2Jb\n/,
    );
  });

  test('events as JSON are one object to a line', async () => {
    const command = ctl('events', '--json');
    const telling = setInterval(() => {
      engine.emit({ type: 'stream', status: 'sentConnect', id: 8, target: 'x:1' });
    }, 5);
    const [line] = await command.stdout.match(/.+(?=\n)/);
    clearInterval(telling);
    const { time, ...event } = JSON.parse(line) as Record<string, unknown>;
    assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.deepEqual(event, {
      type: 'stream',
      status: 'sentConnect',
      id: 8,
      target: 'x:1',
    });
    command.drain();
    assert.equal(await command.exitCode, ExitCode.ok);
  });

  test('events end with success when nobody reads them any more', async () => {
    const command = ctl('events');
    const telling = setInterval(() => engine.emit({ type: 'bandwidth', read: 1, written: 2 }), 5);
    await command.stdout.match(/bandwidth/);
    command.stdout.destroy(new Error('EPIPE'));
    assert.equal(await command.exitCode, ExitCode.ok);
    clearInterval(telling);
  });
});

describe('ctl proves who it is', () => {
  const withSecrets = (t: TestContext, some: ControlSecrets): void => {
    secrets = some;
    t.after(() => (secrets = {}));
  };

  test('by the cookie file', async (t) => {
    const path = join(folder, 'control_auth_cookie');
    const cookie = makeControlCookie(systemRng);
    await writeControlCookie(path, cookie);
    withSecrets(t, { cookie });
    const [exitCode, stdout] = await outcome(ctl('--cookie', path, 'getconf', 'UseBridges'));
    assert.deepEqual([exitCode, stdout], [ExitCode.ok, 'UseBridges  0\n']);
    const [refused, , stderr] = await outcome(ctl('getconf', 'UseBridges'));
    assert.equal(refused, ExitCode.failed);
    assert.match(stderr, /ERR_CONTROL_REFUSED/);
    const [missing] = await outcome(ctl('--cookie', `${path}.no`, 'mappings'));
    assert.equal(missing, ExitCode.failed);
  });

  test('by a passphrase in a file, whose line end does not count', async (t) => {
    withSecrets(t, { passphrases: [hashPassphrase(Buffer.from('geheim é'), systemRng)] });
    const path = join(folder, 'passphrase');
    for (const [text, expected] of [
      ['geheim é\n', ExitCode.ok],
      ['geheim é\r\n', ExitCode.ok],
      ['geheim é', ExitCode.ok],
      ['geheim e\n', ExitCode.failed],
    ] as const) {
      writeFileSync(path, text);
      const [exitCode, , stderr] = await outcome(ctl('--password-file', path, 'mappings'));
      assert.equal(exitCode, expected, text);
      assert.ok(!stderr.includes('geheim'));
    }
  });

  test('by the permissions of a Unix socket', async (t) => {
    const path = join(folder, 'socket');
    const socket = await openControlSocket(server, path);
    t.after(() => socket.close());
    const command = startCommand(['ctl', '--control', `unix:${path}`, 'getconf', 'UseBridges']);
    assert.deepEqual(await outcome(command), [ExitCode.ok, 'UseBridges  0\n', '']);
  });
});

test('help of ctl and of each of its verbs lists the exit codes', async () => {
  const verbs = ['getconf', 'setconf', 'events', 'saveconf', 'signal', 'mapaddress', 'mappings'];
  for (const args of [[], ...verbs.map((verb) => [verb])]) {
    const [exitCode, stdout] = await outcome(startCommand(['ctl', ...args, '--help']));
    assert.equal(exitCode, ExitCode.ok);
    assert.match(stdout, /^Usage: postern ctl[^]*Exit codes:\n {2}0 /);
  }
});

describe('ctl refuses before it connects', () => {
  for (const [args, message] of [
    [['--control', 'localhost', 'mappings'], /--control takes/],
    [['--control', '127.0.0.1:0', 'mappings'], /--control takes/],
    [['--cookie', 'a', '--password-file', 'b', 'mappings'], /only one of/],
    [['--password-file', '/nonexistent', 'mappings'], /cannot be read \(ENOENT\)/],
    [['setconf', '=x'], /KEY=VALUE/],
    [['setconf', 'a b=x'], /KEY=VALUE/],
    [['setconf', 'A=x\nB=y'], /KEY=VALUE/],
    [['events', 'weather'], /kinds circuit, stream/],
    [['events', 'constructor'], /kinds circuit, stream/],
    [['signal', 'KILL'], /a signal is one of/],
    [['mapaddress', 'a:80', 'b'], /without ports/],
    [['mapaddress', '192.0.2.1.', 'b c'], /without ports/],
    [['getconf'], /missing required argument/],
    [['nonsense'], /unknown command/],
  ] as const) {
    test(args.join(' '), async () => {
      const [exitCode, stdout, stderr] = await outcome(startCommand(['ctl', ...args]));
      assert.equal(exitCode, ExitCode.usage);
      assert.equal(stdout, '');
      assert.match(stderr, message);
    });
  }
});

test('ctl says when nobody listens, and when it is no control port', async (t) => {
  const other = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  }).listen(0, '127.0.0.1');
  t.after(() => other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  const wrong = startCommand(['ctl', '--control', `127.0.0.1:${port}`, 'mappings']);
  assert.equal(await wrong.exitCode, ExitCode.failed);
  assert.match(wrong.stderr.text, /cannot control the daemon/);

  other.close();
  const nobody = startCommand(['ctl', '--control', `127.0.0.1:${port}`, 'mappings']);
  assert.equal(await nobody.exitCode, ExitCode.failed);
  assert.match(nobody.stderr.text, /ERR_CONTROL_UNREACHABLE[^]*Start the daemon/);
});
