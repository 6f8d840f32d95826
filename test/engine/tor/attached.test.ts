/** In front of a Tor that somebody else has started, and may stop and start again. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { ExitCode } from '../../../src/cli/context.ts';
import { hashPassphrase, formatPassphraseHash } from '../../../src/crypto/passphrase.ts';
import { systemRng, type Rng } from '../../../src/crypto/rng.ts';
import { connectTorControl } from '../../../src/tor-control/node/connect.ts';
import type { TorControl } from '../../../src/tor-control/node/control.ts';
import { Daemon } from '../../../src/engine/daemon.ts';
import { startCommand } from '../../support/command.ts';
import { startFakeTor } from '../../support/fake-tor.ts';
import { listen } from '../../support/sockets.ts';
import { torMissing, TorProcess } from '../../support/tor-process.ts';
import {
  daemonOptions,
  getConf,
  HeldTimers,
  refusal,
  shared,
  startTorDaemon,
  stateDirectory,
  type Cleanup,
  type TestDaemon,
} from '../../support/tor-engine.ts';

const skip = { skip: torMissing };

/** A Tor of somebody else, with its control socket in its directory. */
interface Foreign {
  readonly tor: TorProcess;
  readonly directory: string;
  readonly socket: string;
}

/** Starts one, or starts it again in its directory. */
async function startForeign(
  t: Cleanup,
  lines: readonly string[] = [],
  directory: string = stateDirectory(),
): Promise<Foreign> {
  const socket = join(directory, 'control');
  const tor = new TorProcess('foreign', directory, [
    ...['DisableNetwork 1', 'SocksPort 0', `ControlSocket ${socket}`],
    ...lines,
  ]);
  t.after(() => tor.kill());
  await tor.line(/Opened Control listener connection \(ready\) on \//);
  return { tor, directory, socket };
}

/** Our own way to it. */
async function connectTo(t: Cleanup, { socket }: Foreign): Promise<TorControl> {
  const control = await connectTorControl({ path: socket });
  t.after(() => control.abort());
  return control;
}

/** The least wait and one more: no other timer is like that. */
const ones: Rng = { fill: (target) => void target.fill(0).fill(1, -1) };
const retryMs = [251, 501] as const;

const name = (host: string) => ({ kind: 'name', host }) as const;

describe('in front of a Tor that runs already', skip, () => {
  const all = shared();
  let foreign: Foreign;
  let daemon: TestDaemon;
  let tor: TorControl;

  before(async () => {
    foreign = await startForeign(all, ['ConnLimit 900', 'CookieAuthentication 1']);
    daemon = await startTorDaemon(
      all,
      `TorControlSocket ${foreign.socket}\n# ours\nLog info stdout # all\n`,
    );
    tor = await connectTo(all, foreign);
  });
  after(() => all.close());

  test('GETCONF and SETCONF are about its options, and about ours', async () => {
    const { control } = daemon;
    await control.setConf([
      { key: 'contactinfo', value: 'a "b" # \\ é' },
      { key: 'Bridge', value: '192.0.2.1:1' },
      { key: 'Bridge', value: '192.0.2.2:2' },
      { key: 'SafeLogging', value: '0' },
    ]);
    assert.deepEqual(
      await getConf(control, 'ConnLimit', 'ContactInfo', 'Bridge', 'SafeLogging', 'Engine'),
      [
        ...['ConnLimit 900', 'ContactInfo a "b" # \\ é', 'Bridge 192.0.2.1:1'],
        ...['Bridge 192.0.2.2:2', 'SafeLogging 0', 'Engine tor'],
      ],
    );
    // A Tor that is not ours may be told by others: what it has counts, not what we have told it.
    await tor.resetConf([{ key: 'ContactInfo', value: 'another' }]);
    assert.deepEqual(await getConf(control, 'ContactInfo'), ['ContactInfo another']);
    await control.setConf([{ key: 'ContactInfo', value: 'a "b" # \\ é' }]);
    assert.deepEqual(await getConf(control, 'ContactInfo'), ['ContactInfo a "b" # \\ é']);
    await control.setConf([{ key: 'ContactInfo' }, { key: 'Bridge' }]);
    assert.deepEqual(await getConf(control, 'ContactInfo', 'Bridge'), []);
  });

  test('one bad line and nothing has changed, in whatever order', async () => {
    const { control } = daemon;
    for (const settings of [
      [
        { key: 'ConnLimit', value: '901' },
        { key: 'SafeLogging', value: '1' },
        { key: 'Nickname', value: 'a b' },
      ],
      [
        { key: 'Log', value: 'nonsense' },
        { key: 'ConnLimit', value: '901' },
      ],
    ]) {
      await assert.rejects(control.setConf(settings), refusal(5));
      assert.deepEqual(await getConf(control, 'ConnLimit', 'SafeLogging', 'Log'), [
        ...['ConnLimit 900', 'SafeLogging 0', 'Log info stdout'],
      ]);
    }
    for (const key of ['TorControlSocket', 'TorControlPort', 'DataDirectory', 'Engine']) {
      const value = key === 'Engine' ? 'embedded' : key === 'TorControlPort' ? '9051' : '/x';
      await assert.rejects(control.setConf([{ key, value }]), refusal(5));
    }
  });

  test('our logs are ours: its own stay as its owner has them', async () => {
    const before = await tor.getConf(['Log', 'SafeLogging']);
    await daemon.control.setConf([{ key: 'Log', value: 'warn stdout' }, { key: 'SafeLogging' }]);
    await daemon.control.setConf([{ key: 'Log' }]);
    assert.deepEqual(await tor.getConf(['Log', 'SafeLogging']), before);
  });

  test('its log comes as events, and into our logs as far as they take it', async () => {
    await daemon.control.setConf([{ key: 'Log', value: 'warn stdout' }]);
    const start = daemon.log.text.length;
    await assert.rejects(daemon.control.setConf([{ key: 'Nickname', value: 'a b' }]), refusal(5));
    await daemon.log.match(/\[warn\] Controller gave us config lines/);
    assert.doesNotMatch(daemon.log.text.slice(start), /\[(?:notice|info|debug)\]/);
    await daemon.control.setConf([{ key: 'Log', value: 'debug stdout' }]);
    await daemon.control.getConf(['ConnLimit']);
    await daemon.log.match(/\[debug\] /);
    await daemon.control.setConf([{ key: 'Log' }]);
  });

  test('debug opens everything, without the log of the log, until a reload', async () => {
    const { control } = daemon;
    await control.sendSignal('debug');
    await control.getConf(['ConnLimit']);
    await daemon.log.match(/All logs write everything now[^]*\[debug\] /);
    await control.sendSignal('reload');
    const start = daemon.log.text.length;
    await control.getConf(['ConnLimit']);
    await control.sendSignal('dump');
    assert.doesNotMatch(daemon.log.text.slice(start), /\[debug\]/);
    assert.match(daemon.log.text.slice(start), /0 OR connections, 0 circuits, 0 streams/);
  });

  test('mappings go to it, and events come from it', async () => {
    const { control } = daemon;
    await control.mapAddress(name('a.example'), name('b.example'));
    const all = (await tor.getInfo('address-mappings/all')).get('address-mappings/all');
    assert.equal(all, 'a.example b.example NEVER');
    await control.mapAddress(name('a.example'), name('a.example'));
    await control.setEvents(['bandwidth']);
    for await (const event of control.events()) if (event.type === 'bandwidth') break;
  });

  test('SAVECONF has each save what is its own', async () => {
    const { control } = daemon;
    await control.setConf([
      { key: 'ConnLimit', value: '950' },
      { key: 'Log', value: 'notice stdout' },
      { key: 'HiddenServiceDir', value: join(foreign.directory, 'hs') },
      { key: 'HiddenServicePort', value: '80' },
    ]);
    await control.saveConf();
    assert.equal(
      daemon.torrc.text,
      `Engine tor\nControlPort auto\nTorControlSocket ${foreign.socket}\n# ours\nLog notice stdout\n`,
    );
    const theirs = readFileSync(join(foreign.directory, 'torrc'), 'utf8');
    assert.match(theirs, /^ConnLimit 950$/m);
    assert.match(theirs, /^HiddenServiceDir /m);
    assert.doesNotMatch(theirs, /Engine|TorControlSocket/);
    await control.setConf([{ key: 'HiddenServiceOptions' }]);
    assert.deepEqual(await getConf(control, 'HiddenServiceOptions'), []);
  });

  test('reload has both read their torrcs again', async () => {
    const { control, torrc } = daemon;
    const path = join(foreign.directory, 'torrc');
    writeFileSync(path, `${readFileSync(path, 'utf8')}Nickname fromfile\n`);
    torrc.text = torrc.text.replace('Log notice', 'Log info');
    await control.setConf([{ key: 'ContactInfo', value: 'unsaved' }]);
    await control.sendSignal('reload');
    // Tor does it after it has said that it will.
    for (;;) {
      const [nickname] = await getConf(control, 'Nickname');
      if (nickname === 'Nickname fromfile') break;
    }
    assert.deepEqual(await getConf(control, 'ContactInfo', 'Log'), ['Log info stdout']);
    const { text } = torrc;
    torrc.text = `${text}ConnLimit 1\n`;
    await assert.rejects(
      control.sendSignal('reload'),
      refusal(1, /ConnLimit: belongs in the torrc/),
    );
    torrc.text = text;
  });
});

describe('a Tor that its owner starts again', skip, () => {
  for (const signal of ['halt', 'shutdown'] as const) {
    test(`is no reason to go on, where ${signal} finds it gone`, async (t) => {
      const { socket, tor } = await startForeign(t, []);
      const daemon = await startTorDaemon(t, `TorControlSocket ${socket}\n`, {
        timers: new HeldTimers(...retryMs),
        rng: ones,
      });
      await tor.kill();
      await daemon.log.match(/\[warn\] Tor is gone: /);
      await daemon.control.sendSignal(signal);
      assert.equal(await daemon.daemon.ended, undefined);
      await daemon.daemon.close();
      await daemon.log.match(/\[notice\] Ending now\./);
    });
  }

  test('gets back what controllers have mapped, set and cleared; they stay meanwhile', async (t) => {
    const lines = ['ConnLimit 900', 'ContactInfo from its torrc', 'Nickname itself'];
    const first = await startForeign(t, lines);
    const timers = new HeldTimers(...retryMs);
    const daemon = await startTorDaemon(t, `TorControlSocket ${first.socket}\n`, {
      timers,
      rng: ones,
    });
    const { control } = daemon;
    await control.mapAddress(name('a.example'), name('b.example'));
    await control.setConf([
      { key: 'ConnLimit', value: '901' },
      { key: 'ContactInfo' },
      { key: 'HiddenServiceDir', value: join(first.directory, 'hs') },
      { key: 'HiddenServicePort', value: '80' },
    ]);
    await first.tor.kill();
    await daemon.log.match(/\[warn\] Tor is gone: .*Trying again in 0\.3 s/);
    await assert.rejects(
      control.getConf(['ConnLimit']),
      refusal(1, /Tor does not run at this moment/),
    );
    await assert.rejects(control.setConf([{ key: 'ConnLimit', value: '7' }]), refusal(1));
    assert.deepEqual(await getConf(control, 'Engine'), ['Engine tor']);

    const second = await startForeign(t, lines, first.directory);
    const before = daemon.events.length;
    await timers.fire(retryMs[0]);
    await daemon.until(
      (event) =>
        daemon.events.indexOf(event) >= before &&
        event.type === 'log' &&
        /^Tor 0\S+ runs/.test(event.message),
    );
    assert.deepEqual(
      await getConf(control, 'ConnLimit', 'ContactInfo', 'Nickname', 'HiddenServiceOptions'),
      [
        ...['ConnLimit 901', 'Nickname itself'],
        ...[`HiddenServiceDir ${join(first.directory, 'hs')}`, 'HiddenServicePort 80'],
      ],
    );
    assert.equal((await control.mappings()).length, 1);

    // After a reload Tor’s own torrc counts, in its next life as well.
    await control.sendSignal('reload');
    await second.tor.kill();
    await startForeign(t, lines, first.directory);
    const reconnected = daemon.events.length;
    await timers.fire(retryMs[1]);
    await daemon.until(
      (event) =>
        daemon.events.indexOf(event) >= reconnected &&
        event.type === 'log' &&
        /^Tor 0\S+ runs/.test(event.message),
    );
    assert.deepEqual(await getConf(control, 'ConnLimit', 'ContactInfo'), [
      'ConnLimit 900',
      'ContactInfo from its torrc',
    ]);
  });

  test('and that refuses by now what was set is controlled nonetheless', async (t) => {
    const first = await startForeign(t);
    const timers = new HeldTimers(...retryMs);
    const daemon = await startTorDaemon(t, `TorControlSocket ${first.socket}\n`, {
      timers,
      rng: ones,
    });
    await daemon.control.setConf([{ key: 'ConnLimit', value: '901' }]);
    await daemon.control.mapAddress(name('a.example'), name('b.example'));
    const taken = await listen(t, (socket) => socket.destroy());
    await daemon.control.setConf([{ key: 'SocksPort', value: taken.text }]);
    await first.tor.kill();
    await daemon.log.match(/Tor is gone/);
    // With a network it would open the port.
    await startForeign(
      t,
      [
        'DisableNetwork 0',
        'UseDefaultFallbackDirs 0',
        `DirAuthority none orport=1 v3ident=${'0'.repeat(39)}1 127.0.0.1:1 ${'0'.repeat(39)}2`,
      ],
      first.directory,
    );
    await timers.fire(retryMs[0]);
    await daemon.log.match(/\[warn\] Tor now refuses what controllers had set: /);
    await daemon.log.match(/runs; bootstrapped[^]*runs; bootstrapped/);
    assert.deepEqual(await getConf(daemon.control, 'ConnLimit'), ['ConnLimit 1000']);
    assert.equal((await daemon.control.mappings()).length, 1);
  });
});

describe('the end of one and of the other', skip, () => {
  async function pair(t: TestContext): Promise<{ foreign: Foreign; daemon: TestDaemon }> {
    const foreign = await startForeign(t);
    return { foreign, daemon: await startTorDaemon(t, `TorControlSocket ${foreign.socket}\n`) };
  }

  for (const signal of ['shutdown', 'halt'] as const) {
    test(`[TC-3.10-0${signal === 'shutdown' ? 3 : 7}] SIGNAL ${signal} of a controller ends both`, async (t) => {
      const { foreign, daemon } = await pair(t);
      await daemon.control.sendSignal(signal);
      assert.equal(await daemon.daemon.ended, undefined);
      await foreign.tor.ended;
      await daemon.daemon.close();
    });

    test(`asked by the system for ${signal} we go, and Tor stays`, async (t) => {
      const { foreign, daemon } = await pair(t);
      await daemon.daemon.obey(signal);
      assert.equal(await daemon.daemon.ended, undefined);
      await daemon.daemon.close();
      assert.equal(foreign.tor.process.exitCode, null);
      const again = await connectTo(t, foreign);
      assert.match((await again.getInfo('version')).get('version')!, /^0\./);
    });
  }

  test('`postern run` exits with 0 at SIGTERM', async (t) => {
    const foreign = await startForeign(t);
    const path = join(stateDirectory(), 'torrc');
    writeFileSync(
      path,
      `Engine tor\nTorControlSocket ${foreign.socket}\nControlPort auto\nDataDirectory ${stateDirectory()}\n`,
    );
    const command = startCommand(['run', '-f', path]);
    await command.stdout.match(/Controllers connect to/);
    command.stop();
    assert.equal(await command.exitCode, ExitCode.ok);
    assert.equal(foreign.tor.process.exitCode, null);
  });
});

describe('a Tor that wants to know who asks', skip, () => {
  const all = shared();
  let port: number;
  let directory: string;

  before(async () => {
    const hash = formatPassphraseHash(hashPassphrase(Buffer.from('open "é" \\'), systemRng));
    const { tor } = await startForeign(all, ['ControlPort auto', `HashedControlPassword ${hash}`]);
    port = Number((await tor.line(/Control listener listening on port (\d+)/))[1]);
    directory = stateDirectory();
  });
  after(() => all.close());

  const passwordFile = (text: string): string => {
    const path = join(directory, 'password');
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };

  test('lets us in with the first line of TorControlPasswordFile', async (t) => {
    for (const text of ['open "é" \\', 'open "é" \\\n', 'open "é" \\\r\nmore\n']) {
      const daemon = await startTorDaemon(
        t,
        `TorControlPort ${port}\nTorControlPasswordFile ${passwordFile(text)}\n`,
      );
      assert.deepEqual(await getConf(daemon.control, 'DisableNetwork'), ['DisableNetwork 1']);
      await daemon.daemon.close();
    }
  });

  test('says no otherwise, and we say which option is meant', async () => {
    const start = (lines: string): Promise<unknown> =>
      Daemon.start(daemonOptions(directory, `Engine tor\nTorControlPort ${port}\n${lines}`));
    await assert.rejects(start(''), {
      code: 'ERR_TOR_CONTROL_AUTHENTICATION',
      message: /^TorControlPort: .*password/,
    });
    for (const text of ['wrong', '', '\nopen "é" \\\n']) {
      await assert.rejects(
        start(`TorControlPasswordFile ${passwordFile(text)}\n`),
        (error: Error) => {
          assert.match(error.message, /^TorControlPort: /);
          assert.doesNotMatch(error.message, /wrong|open/);
          return true;
        },
      );
    }
  });

  test('lets us in by its cookie', async (t) => {
    const foreign = await startForeign(t, ['ControlPort auto', 'CookieAuthentication 1']);
    const [, cookiePort] = await foreign.tor.line(/Control listener listening on port (\d+)/);
    const daemon = await startTorDaemon(t, `TorControlPort 127.0.0.1:${cookiePort}\n`);
    assert.deepEqual(await getConf(daemon.control, 'DisableNetwork'), ['DisableNetwork 1']);
  });

  test('and what listens there and is no Tor is told as such', async (t) => {
    const { endpoint } = await listen(t, (socket) => {
      socket.on('error', () => {});
      socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    });
    await assert.rejects(
      Daemon.start(daemonOptions(directory, `Engine tor\nTorControlPort ${endpoint.port}\n`)),
      { message: /^TorControlPort: / },
    );
  });
});

test('[TC-3.3-03] a SETCONF that Tor has taken is done, whatever it says of its listeners', async (t) => {
  let isMute = false;
  const answers: Readonly<Record<string, string>> = {
    'config/names': '250+config/names=\r\nSocksPort LinkedLines\r\n.\r\n250 OK',
    'net/listeners/socks':
      '250-net/listeners/socks=""\r\n250-net/listeners/httptunnel=""\r\n250 OK',
    version: '250-version=0.4.9.11\r\n250-status/bootstrap-phase=NOTICE\r\n250 OK',
  };
  const { endpoint, received } = await startFakeTor(t, {
    GETINFO: (line, socket) => {
      const answer = isMute ? undefined : answers[line.split(' ')[1]!];
      socket.write(`${answer ?? '551 Internal error'}\r\n`);
    },
  });
  const daemon = await startTorDaemon(t, `TorControlPort ${endpoint.port}\n`);
  isMute = true;
  await daemon.control.setConf([{ key: 'SocksPort', value: '9050' }]);
  await daemon.until(
    (event) =>
      event.type === 'log' &&
      event.message.startsWith('Tor took a change, and what it did cannot be read'),
  );
  assert.ok(received.some((line) => /^RESETCONF SocksPort="?9050/.test(line)));
});
