/** Starts that fail, and torrcs that are only checked: each says what to do, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ExitCode } from '../../../src/cli/context.ts';
import { Daemon } from '../../../src/engine/daemon.ts';
import type { DaemonOptions } from '../../../src/engine/daemon-options.ts';
import { startCommand } from '../../support/command.ts';
import { limits } from '../../../src/limits.ts';
import type { PosternError } from '../../../src/errors.ts';
import { closedPort, listen } from '../../support/sockets.ts';
import { torMissing } from '../../support/tor.ts';
import {
  daemonOptions,
  getConf,
  HeldTimers,
  offline,
  shared,
  startTorDaemon,
  stateDirectory,
  type TestDaemon,
} from '../../support/tor-engine.ts';

const skip = { skip: torMissing };

/** A program that is no Tor, or not quite. */
function script(body: string): string {
  const path = join(stateDirectory(), 'tor');
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o700 });
  return path;
}

/** Starts what must not start, and looks that nothing of ours is left. */
async function failsToStart(
  text: string,
  expected: { readonly code: string; readonly message?: RegExp },
  options: Partial<DaemonOptions> = {},
): Promise<void> {
  const directory = stateDirectory();
  const starting = Daemon.start(daemonOptions(directory, `Engine tor\n${text}`, options));
  await assert.rejects(starting, expected);
  assert.equal(existsSync(join(directory, 'postern')), false);
}

describe('a start with no Tor to start', () => {
  test('names TorBinary, or the search path', async () => {
    for (const path of ['/nonexistent/tor', '/tmp', '/etc/passwd']) {
      await failsToStart(`TorBinary ${path}\n`, {
        code: 'ERR_TOR_PROGRAM',
        message: path === '/tmp' ? /\/tmp/ : /TorBinary: there is no program at/,
      });
    }
  });

  test('with a program that is none, or does not run', async () => {
    await failsToStart('TorBinary /bin/true\n', { code: 'ERR_TOR_PROGRAM', message: /is no Tor/ });
    await failsToStart('TorBinary /bin/false\n', {
      code: 'ERR_TOR_PROGRAM',
      message: /does not run/,
    });
    await failsToStart(`TorBinary ${script('echo SocksPort; exit 1')}\n`, {
      code: 'ERR_TOR_PROGRAM',
    });
    const notExecutable = join(stateDirectory(), 'tor');
    writeFileSync(notExecutable, 'no program at all', { mode: 0o700 });
    await failsToStart(`TorBinary ${notExecutable}\n`, { code: 'ERR_TOR_PROGRAM' });
  });

  test('with a program that does not answer: it is not waited for without end', async () => {
    const hanging = script('exec sleep 1000');
    const timers = new HeldTimers(limits.torProgramMs);
    const failing = failsToStart(
      `TorBinary ${hanging}\n`,
      { code: 'ERR_TOR_PROGRAM', message: /does not answer/ },
      { timers },
    );
    await timers.fire(limits.torProgramMs);
    await failing;
    const checking = Daemon.verify(
      daemonOptions(stateDirectory(), `Engine tor\nTorBinary ${hanging}\n`, { timers }),
    );
    await timers.fire(limits.torProgramMs);
    await assert.rejects(checking, { code: 'ERR_TOR_PROGRAM', message: /does not answer/ });
  });
});

const KNOWS_OPTIONS = 'case "$*" in *--list-torrc-options*) echo SocksPort; exit;; esac';

describe('a start of a Tor that does not come up', () => {
  test('ends with what it said last', async () => {
    const said = script(
      `${KNOWS_OPTIONS}\necho 'Nov 21 23:59:59.000 [notice] fine'\necho 'Nov 21 23:59:59.000 [err] no more ink'\nexit 7`,
    );
    await failsToStart(`TorBinary ${said}\n`, {
      code: 'ERR_TOR_ENDED',
      message: /while it was starting; its last complaint: no more ink \(exit code 7/,
    });
    const silent = script(`${KNOWS_OPTIONS}\necho 'out of paper' >&2\nkill -9 $$`);
    await failsToStart(`TorBinary ${silent}\n`, {
      code: 'ERR_TOR_ENDED',
      message: /ended by SIGKILL, at stage starting; last on stderr: out of paper/,
    });
  });

  test('is given up when it never opens its control socket', async () => {
    const timers = new HeldTimers(limits.torStartMs);
    const failing = failsToStart(
      `TorBinary ${script(`${KNOWS_OPTIONS}\nexec sleep 1000`)}\n`,
      { code: 'ERR_TOR_START_TIMED_OUT', message: /no control socket/ },
      { timers },
    );
    await timers.fire(limits.torStartMs);
    await failing;
  });

  test('is not waited for by a person who ends it', async () => {
    const [path, directory] = [join(stateDirectory(), 'torrc'), stateDirectory()];
    const binary = script(
      `${KNOWS_OPTIONS}\necho 'Nov 21 23:59:59.000 [notice] wait'\nexec sleep 1000`,
    );
    writeFileSync(path, `Engine tor\nTorBinary ${binary}\nDataDirectory ${directory}\n`);
    const command = startCommand(['run', '-f', path]);
    await command.stdout.match(/\[notice\] wait/);
    command.drain();
    assert.equal(await command.exitCode, ExitCode.ok);
    assert.equal(existsSync(join(directory, 'postern')), false);
  });

  test('fails as well when what listens there is no Tor', async () => {
    const liar = script(
      `${KNOWS_OPTIONS}
while [ $# -gt 0 ]; do
  [ "$1" = --ControlSocket ] && socket=$2
  [ "$1" = --ControlPortWriteToFile ] && file=$2
  shift
done
echo nonsense > "$file"
exec sleep 1000`,
    );
    const timers = new HeldTimers(limits.childDrainMs);
    const failing = failsToStart(`TorBinary ${liar}\n`, { code: 'ERR_DIAL_REFUSED' }, { timers });
    await timers.fire(limits.childDrainMs);
    await failing;
  });
});

describe('a start of the real Tor', skip, () => {
  test('fails with a torrc that it refuses, and names the line', async () => {
    for (const [line, message] of [
      ['Nickname a b', /^Nickname \(line 7\): .*between 1 and 19/],
      ['HiddenServicePort 80', /^HiddenServicePort \(line 7\): must come after/],
      ['ClientTransportPlugin nosuch builtin', /no transport nosuch/],
      ['User nobody', /^User: start Postern as that user/],
      ['CircuitStreamTimeout never', /^CircuitStreamTimeout \(line 7\): .*never/],
      ['UseBridges 1', /^UseBridges \(line 7\): /],
      // What Tor says last of it is that it is broken.
      [
        'HiddenServiceDir /nonexistent/hs\nHiddenServicePort 80',
        /^HiddenServiceDir \(line 7\): .*No such file/,
      ],
    ] as const) {
      await failsToStart(`${offline}ContactInfo me\n${line}\nConnLimit 900\n`, {
        code: 'ERR_CONFIG_VALUE',
        message,
      });
    }
    for (const line of ['NoSuchOption 1', 'CircuitHops 1', '__OwningControllerProcess 1']) {
      await failsToStart(`${offline}${line}\n`, {
        code: 'ERR_CONFIG_KEY',
        message: /\(line 6\): (?:there is no option|how this Tor is controlled)/,
      });
    }
    await failsToStart(`${offline}ContactInfo "a\n`, { code: 'ERR_CONFIG_SYNTAX' });
  });

  test('fails when its port is taken, and says so', async (t) => {
    const { text } = await listen(t, (socket) => socket.destroy());
    await failsToStart(
      `SocksPort ${text}\nGeoIPFile /dev/null\nGeoIPv6File /dev/null\nUseDefaultFallbackDirs 0
DirAuthority none orport=1 v3ident=${'0'.repeat(39)}1 127.0.0.1:1 ${'0'.repeat(39)}2\n`,
      { code: 'ERR_CONFIG_VALUE', message: /^SocksPort \(line 2\): .*Address already in use/ },
    );
  });

  test('fails when our own control port is taken, and its Tor is gone', async (t) => {
    const { text } = await listen(t, (socket) => socket.destroy());
    await failsToStart(`ControlPort ${text}\n${offline}`, {
      code: 'ERR_LISTEN_IN_USE',
      message: /ControlPort/,
    });
  });

  test('fails in a directory that another daemon uses, which goes on', async (t) => {
    const first = await startTorDaemon(t, offline);
    const options = daemonOptions(first.directory, `Engine tor\n${offline}`);
    await assert.rejects(Daemon.start(options), {
      code: 'ERR_DIRECTORY_IN_USE',
      message: new RegExp(`^DataDirectory: process ${process.pid} uses `),
    });
    assert.deepEqual(await getConf(first.control, 'ConnLimit'), ['ConnLimit 1000']);
    await first.control.sendSignal('reload');
  });

  test('of several in one directory at once one starts, and the others leave it alone', async (t) => {
    const directory = stateDirectory();
    const starts = await Promise.allSettled(
      [1, 2, 3].map(() => startTorDaemon(t, offline, { directory })),
    );
    const [started, ...more] = starts.flatMap((start) =>
      start.status === 'fulfilled' ? [start.value] : [],
    );
    assert.equal(more.length, 0);
    for (const start of starts) {
      if (start.status === 'fulfilled') continue;
      const reason = start.reason as PosternError;
      assert.equal(reason.code, 'ERR_DIRECTORY_IN_USE', reason.message);
    }
    assert.deepEqual(await getConf(started!.control, 'ConnLimit'), ['ConnLimit 1000']);
    await started!.control.sendSignal('reload');
  });

  test('takes a directory over that a killed daemon has left', async (t) => {
    const directory = stateDirectory();
    const ours = join(directory, 'postern');
    mkdirSync(ours, { mode: 0o700 });
    for (const name of ['torrc', 'torrc.new', 'control', 'control.address']) {
      writeFileSync(join(ours, name), 'NoSuchOption 1\n');
    }
    const daemon = await startTorDaemon(t, offline, { directory });
    await daemon.daemon.close();
    assert.equal(existsSync(ours), false);
  });

  test('starts in a directory with blanks, quotes and backslashes in its name', async (t) => {
    for (const name of ['a b', ' c', 'd"e', 'f\\g', 'h#i', "j'k"]) {
      const directory = join(stateDirectory(), name);
      const daemon = await startTorDaemon(t, offline, { directory });
      assert.equal((await daemon.control.getConf(['ConnLimit'])).length, 1);
      assert.ok(existsSync(join(directory, 'postern', 'control')));
      await daemon.daemon.close();
    }
  });

  test('fails in a directory whose path is too long for a socket, and says that', async () => {
    const long = join(stateDirectory(), 'x'.repeat(90));
    await failsToStart(`${offline}DataDirectory ${long}\n`, {
      code: 'ERR_SOCKET_PATH',
      message: /this system takes 107/,
    });
  });

  test('fails in a directory that is none, or cannot be written to', async () => {
    const file = join(stateDirectory(), 'file');
    writeFileSync(file, '');
    await failsToStart(`${offline}DataDirectory ${file}\n`, {
      code: 'ERR_DIRECTORY_UNUSABLE',
      message: /ENOTDIR|EEXIST/,
    });
    const directory = stateDirectory();
    writeFileSync(join(directory, 'postern'), '');
    await assert.rejects(Daemon.start(daemonOptions(directory, `Engine tor\n${offline}`)), {
      code: 'ERR_DATA_DIRECTORY',
      message: /cannot be written to \(E/,
    });
    if (process.getuid!() !== 0) {
      const closed = stateDirectory();
      chmodSync(closed, 0o500);
      await assert.rejects(Daemon.start(daemonOptions(closed, `Engine tor\n${offline}`)), {
        code: 'ERR_DIRECTORY_UNUSABLE',
        message: /EACCES/,
      });
    }
  });

  test('reads what is for the way on which we control it as a mistake, not as a way in', async () => {
    await failsToStart(`${offline}ControlPortWriteToFile /tmp/x\n`, { code: 'ERR_CONFIG_KEY' });
    await failsToStart(`${offline}__ControlPort 9051\n`, { code: 'ERR_CONFIG_KEY' });
  });

  test('by `postern run` exits with 1 and says what to do', async () => {
    const path = join(stateDirectory(), 'torrc');
    writeFileSync(path, `Engine tor\nTorBinary /nonexistent\nDataDirectory ${stateDirectory()}\n`);
    const command = startCommand(['run', '-f', path]);
    assert.equal(await command.exitCode, ExitCode.failed);
    assert.match(command.stderr.text, /TorBinary: there is no program at \/nonexistent/);
    assert.match(command.stderr.text, /What to do: .*apt-get install tor/);
  });
});

describe('what a torrc of Tor’s may say besides', skip, () => {
  const all = shared();
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startTorDaemon(
      all,
      `${offline}RunAsDaemon 1\nPidFile ${join(stateDirectory(), 'pid')}\nhiddenservicedir ${join(stateDirectory(), 'hs')}\n` +
        'HiddenServicePort 80 127.0.0.1:80\nLog info-notice stdout\nSafeLogging 0\nControlPort 127.0.0.1:auto\n' +
        'CookieAuthentication 0\nConnLimit 800\nconnlimit 900\nContactInfo "a # b"\nDataDirectory ~/data\n',
      { env: { ...process.env, HOME: stateDirectory() } },
    );
  });
  after(() => all.close());

  test('is taken as it is meant: by us, or by Tor', async () => {
    assert.deepEqual(
      await getConf(
        daemon.control,
        'RunAsDaemon',
        'ConnLimit',
        'ContactInfo',
        'Log',
        'SafeLogging',
      ),
      [
        ...['RunAsDaemon 0', 'ConnLimit 900', 'ContactInfo a # b', 'Log info-notice stdout'],
        'SafeLogging 0',
      ],
    );
    assert.equal(daemon.daemon.endpoints.control.length, 2);
    assert.ok(readdirSync(join(daemon.directory, 'data')).includes('lock'));
    assert.match(daemon.log.text, /\[info\] /);
  });
});

describe('Daemon.verify', skip, () => {
  const verify = (text: string, options: Partial<DaemonOptions> = {}): Promise<readonly string[]> =>
    Daemon.verify(daemonOptions(stateDirectory(), text, options));

  test('takes what would start, and starts nothing', async (t) => {
    const { text } = await listen(t, (socket) => socket.destroy());
    const directory = stateDirectory();
    await Daemon.verify(
      daemonOptions(
        directory,
        `Engine tor\nControlPort ${text}\nUseBridges 1\nClientTransportPlugin obfs4 builtin\nBridge obfs4 192.0.2.1:1\nContactInfo "ü # \\\\"\n`,
      ),
    );
    assert.equal(existsSync(join(directory, 'postern')), false);
    await verify('Engine tor\n');
    await verify('SocksPort 0\n');
    await verify('Engine tor\nTorControlPort 9051\nControlPort 9052\n');
  });

  test('finds `~` in TorBinary, as the start does', async () => {
    const home = stateDirectory();
    writeFileSync(join(home, 'tor'), '#!/bin/sh\nexec tor "$@"\n', { mode: 0o700 });
    await Daemon.verify(daemonOptions(home, 'Engine tor\nTorBinary ~/tor\n'));
  });

  test('refuses what would not, with the line', async () => {
    for (const [text, code, message] of [
      [
        'Engine tor\nNickname a b\n',
        'ERR_CONFIG_VALUE',
        /^Nickname \(line 2\): .*between 1 and 19/,
      ],
      ['Engine tor\n\nUseBridges 1', 'ERR_CONFIG_VALUE', /^UseBridges \(line 3\)/],
      ['Engine tor\nNoSuchOption 1', 'ERR_CONFIG_KEY', /NoSuchOption \(line 2\)/],
      ['Engine tor\nCircuitHops 2', 'ERR_CONFIG_KEY', /CircuitHops \(line 2\)/],
      ['Engine tor\nControlPort x', 'ERR_CONFIG_VALUE', /ControlPort \(line 2\)/],
      ['Engine tor\nContactInfo "', 'ERR_CONFIG_SYNTAX', /line 2/],
      ['Engine tor\nTorBinary /nonexistent', 'ERR_TOR_PROGRAM', /TorBinary/],
      ['Engine tor\nTorControlPort 9051\nTorBinary /x', 'ERR_CONFIG_VALUE', /TorBinary/],
      ['Engine tor\nTorControlPort 9051\nNickname a', 'ERR_CONFIG_VALUE', /Nickname: belongs in/],
      ['Engine tor\nTorControlSocket /s\nHiddenServiceDir /a', 'ERR_CONFIG_VALUE', /belongs in/],
      ['Engine nothing', 'ERR_CONFIG_VALUE', /Engine \(line 1\)/],
      ['TorControlPort 9051', 'ERR_CONFIG_VALUE', /need Engine tor/],
    ] as const) {
      await assert.rejects(verify(text), { code, message }, text);
    }
  });

  test('says so when Tor says nothing', async () => {
    const mute = script(`${KNOWS_OPTIONS}\nexit 1`);
    await assert.rejects(verify(`Engine tor\nTorBinary ${mute}\n`), { code: 'ERR_CONFIG_VALUE' });
    const timers = new HeldTimers(limits.torProgramMs);
    const hanging = script(`${KNOWS_OPTIONS}\nexec sleep 1000`);
    const checking = verify(`Engine tor\nTorBinary ${hanging}\n`, { timers });
    const expected = assert.rejects(checking, {
      code: 'ERR_TOR_PROGRAM',
      message: /does not answer/,
    });
    // One for its options, which it answers in time, and one for this.
    await timers.isSet(limits.torProgramMs);
    await timers.fire(limits.torProgramMs);
    await expected;
  });
});

test('nobody listens on the port that TorControlPort names', async () => {
  const { port } = await closedPort();
  await failsToStart(`TorControlPort ${port}\n`, {
    code: 'ERR_DIAL_REFUSED',
    message: /^TorControlPort: /,
  });
  await failsToStart('TorControlSocket /nonexistent/socket\n', {
    code: 'ERR_DIAL_REFUSED',
    message: /^TorControlSocket: /,
  });
  await failsToStart(`TorControlPort ${port}\nTorControlPasswordFile /nonexistent\n`, {
    code: 'ERR_CONFIG_VALUE',
    message: /^TorControlPasswordFile: it cannot be read \(ENOENT\)/,
  });
});
