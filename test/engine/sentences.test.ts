/** What a daemon says to somebody with a certain problem. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { torVocabulary } from '../../src/config/vocabulary.ts';
import { Daemon } from '../../src/engine/daemon.ts';
import { TorSettings } from '../../src/engine/tor/tor-settings.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { Output, type RunningCommand, startCommand } from '../support/command.ts';
import { memoryTorrc, startEngine } from '../support/engine.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { listen, socksConnect } from '../support/sockets.ts';
import { torMissing } from '../support/tor.ts';
import { corpus } from '../support/torrc-corpus.ts';

const target = { host: '192.0.2.9', port: 80 };

function startDaemon(t: TestContext, lines: string): RunningCommand {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'torrc'), `DataDirectory ${directory}\n${lines}`);
  return startCommand(['run', '-f', join(directory, 'torrc')]);
}

test('a client without a bridge says so, and what to add; a bridge does not', async (t) => {
  for (const [lines, said] of [
    [
      'SocksPort auto\n',
      /There is no bridge: every application is refused\. Add `UseBridges 1` and a Bridge line\./,
    ],
    [
      'SocksPort auto\nBridge 192.0.2.1:1\n',
      /The bridges are not used: every application is refused\. Add `UseBridges 1`\./,
    ],
  ] as const) {
    const daemon = startDaemon(t, lines);
    await daemon.stdout.match(said);
    daemon.stop();
    await daemon.exitCode;
  }
  const bridge = startDaemon(
    t,
    'SocksPort auto\nServerTransportPlugin obfs3 builtin\nServerTransportListenAddr obfs3 127.0.0.1:0\n',
  );
  await bridge.stdout.match(/SocksPort .* is open/);
  bridge.stop();
  await bridge.exitCode;
  assert.doesNotMatch(bridge.stdout.text, /every application/);
});

test('a stream that failed has its reason in the log and in `ctl events`', async (t) => {
  const { engine, ...recorded } = await startEngine(t, 'SocksPort auto\nControlPort auto\n');
  const address = formatEndpoint(engine.endpoints.control[0]!);
  const watch = startCommand(['ctl', '--control', address, 'events', 'stream'], {
    HOME: '/nowhere',
  });
  const json = startCommand(['ctl', '--control', address, '--json', 'events', 'stream'], {
    HOME: '/nowhere',
  });
  // The first events may come before both listen.
  let isOver = false;
  const asking = (async () => {
    while (!isOver) await socksConnect(engine.endpoints.socks[0]!, target).catch(() => {});
  })();
  await recorded.until(
    (event) =>
      event.type === 'log' &&
      event.level === 'notice' &&
      /^stream \d+ failed: no bridge is configured.*ERR_NO_BRIDGE/.test(event.message),
  );
  await watch.stdout.match(/stream \d+ +failed +192\.0\.2\.9:80/);
  await json.stdout.match(/"status":"failed"/);
  isOver = true;
  await asking;
  watch.drain();
  json.drain();
  await Promise.all([watch.exitCode, json.exitCode]);
  assert.doesNotMatch(watch.stdout.text, /^\S+ +log/m, 'the log was not asked for');
});

test('Log … syslog goes through `logger`, each line with its priority; without one it is said', async (t) => {
  const folder = temporaryDirectory(t);
  const logger = join(folder, 'logger');
  writeFileSync(logger, `#!/bin/sh\nexec cat > '${folder}/lines'\n`);
  chmodSync(logger, 0o755);
  const PATH = [folder, process.env['PATH']].join(delimiter);
  const { engine } = await startEngine(t, 'Log info syslog\nSocksPort auto\n', { env: { PATH } });
  await engine.signal('debug');
  await engine.close();
  // It ends with its input, and has then written it all.
  for (;;) {
    const written = join(folder, 'lines');
    const lines = existsSync(written) ? readFileSync(written, 'utf8') : '';
    if (/<29>All logs write everything/.test(lines)) {
      assert.match(lines, /^<28>There is no bridge/m);
      break;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await assert.rejects(startEngine(t, 'Log notice syslog\n', { env: { PATH: '/nowhere' } }), {
    code: 'ERR_LOG_FILE',
    message: /`logger` \(util-linux\) is missing/,
  });
});

test('a program that runs already is used by its SOCKS port, as Tor does', async (t) => {
  const asked: string[] = [];
  const proxy = await listen(t, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      asked.push(bytes.toString('hex'));
      socket.destroy();
    });
  });
  const recorded = await startEngine(
    t,
    `SocksPort auto\nUseBridges 1\nClientTransportPlugin obfs4 socks5 ${proxy.text}\nBridge obfs4 192.0.2.1:1 cert=abc\n`,
  );
  await recorded.until((event) => event.type === 'orConnection' && event.status === 'failed');
  // A greeting with a method for arguments.
  assert.match(asked[0]!, /^05..*02/);
});

test('of Debian’s own lines a Tor that is our child gets what it may have', () => {
  const [defaults] = corpus.cases.filter(
    ({ name }) => name === 'Debian’s tor-service-defaults-torrc',
  );
  const vocabulary = torVocabulary(undefined);
  const settings = new TorSettings({
    command: ['/postern'],
    registry: builtinTransports,
    user: 'debian-tor',
  });
  const given = settings.torrcFor(Configuration.parse(defaults!.lines.join('\n'), {}, vocabulary));
  assert.doesNotMatch(given, /^(?:User|RunAsDaemon|ControlSocket )/m);
  assert.match(given, /^SocksPort unix:\/run\/tor\/socks WorldWritable$/m);
  const asOther = new TorSettings({
    command: ['/postern'],
    registry: builtinTransports,
    user: 'me',
  });
  assert.throws(() => asOther.torrcFor(Configuration.parse('User debian-tor', {}, vocabulary)), {
    message: /sudo -u debian-tor postern run -f TORRC/,
  });
});

test(
  'Debian’s own torrc and its defaults are good for `Engine tor`',
  { skip: torMissing },
  async (t) => {
    const directory = temporaryDirectory(t);
    const whole = corpus.cases.filter(
      ({ group, name }) => group === 'whole' && name.startsWith('Debian'),
    );
    assert.equal(whole.length, 3);
    for (const { name, lines } of whole) {
      const text = lines
        .join('\n')
        .replaceAll(/@@\w+@@/g, 'instance')
        .replaceAll(/\/(?:var\/lib|run)\/tor(?:-instances\/instance)?/g, directory)
        .replace(/^User .*$/m, `User ${userInfo().username}`)
        // A log of its own for this test, and directories that only a package makes.
        .replace(/^Log notice syslog$/m, 'Log notice stdout')
        .replaceAll(/@@\w+@@/g, 'instance');
      const notes = await Daemon.verify({
        torrc: memoryTorrc(`${text}\nEngine tor\nDataDirectory ${directory}\n`),
        home: directory,
        env: process.env,
        stdout: new Output(),
        stderr: new Output(),
        ownCommand: ['/postern'],
      });
      assert.deepEqual(notes, [], name);
    }
  },
);
