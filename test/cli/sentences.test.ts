/** What a person reads who has a certain problem: the sentence for that cause and no other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { ExitCode } from '../../src/cli/context.ts';
import { explanations } from '../../src/cli/explain.ts';
import { ownName } from '../../src/cli/own-name.ts';
import { optionGroups, optionTable } from '../../src/config/options.ts';
import { errorTable } from '../../src/errors.ts';
import { limitTable } from '../../src/limits.ts';
import { createDirectDialer } from '../../src/net/direct-dialer.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { startCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { echo, listen, readBytes } from '../support/sockets.ts';

async function outcome(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const command = startCommand(args, env);
  const exitCode = await command.exitCode;
  return { exitCode, stdout: command.stdout.text, stderr: command.stderr.text };
}

const client = ['--socks', '127.0.0.1:0'];
const bridge = [
  'bridge',
  '--listen',
  '127.0.0.1:0',
  '--forward',
  '127.0.0.1:9',
  '--state',
  '/nowhere/x',
];

/** What is typed, how it ends, what is said, and what is not. */
const typed: readonly (readonly [string[], number, RegExp, RegExp?])[] = [
  [
    ['client', 'obfs4 192.0.2.1:1 iat-mode=0', ...client],
    2,
    /`cert` is missing[^]*Copy the bridge line again/,
    /node-id/,
  ],
  [
    [...bridge, '--option', 'iat-mode=9'],
    2,
    /`iat-mode` must be there, and 0, 1 or 2 \(ERR_TRANSPORT_OPTION\)[^]*Correct it where the bridge is set up/,
    /[Cc]opy the bridge line/,
  ],
  [
    [...bridge, '--option', 'iatmode=1'],
    2,
    /no option `iatmode`; there are [^]*ERR_TRANSPORT_OPTION/,
    /[Cc]opy the bridge line/,
  ],
  [
    ['ctl', '--control', '127.0.0.1:1', 'mappings'],
    1,
    /nobody answers on the control port[^]*Start the daemon, or say where its control port is/,
    /bridge/,
  ],
  [
    ['ctl', '--control', 'unix:/nowhere/control', 'mappings'],
    1,
    /nobody answers on the control socket \(ENOENT\)[^]*Start the daemon/,
  ],
  [['help', 'client'], 0, /^$/],
  [['help', 'ctl', 'events'], 0, /^$/],
  [['help', 'cleint'], 2, /there is no verb cleint; did you mean client\?/],
  [['cleint'], 2, /there is no verb cleint; did you mean client\?/],
  [['nothing'], 2, /there is no verb nothing; see postern help/],
  [
    ['explain', 'ERR_HANDSHAKE_TIMEOUT'],
    2,
    /no code, option or limit ERR_HANDSHAKE_TIMEOUT; did you mean|`postern explain` lists/,
  ],
  [['explain', 'dnsport'], 2, /dnsport is Tor’s: `Engine tor` takes it/],
  [['explain', 'BandwithRate'], 2, /did you mean BandwidthRate\?/],
];

describe('what is said to somebody who', () => {
  for (const [args, exitCode, said, unsaid] of typed) {
    test(`types ${args.slice(0, 6).join(' ')}`, async () => {
      const result = await outcome(args);
      assert.equal(result.exitCode, exitCode, result.stderr);
      assert.match(result.stderr, said);
      if (unsaid !== undefined) assert.doesNotMatch(result.stderr, unsaid);
    });
  }

  test('asks for help with a verb, or for the version, as with --help and --version', async () => {
    for (const [words, option] of [
      [['help'], ['--help']],
      [
        ['help', 'client'],
        ['client', '--help'],
      ],
      [
        ['help', 'ctl', 'events'],
        ['ctl', 'events', '--help'],
      ],
      [['version'], ['--version']],
    ] as const) {
      assert.deepEqual(await outcome(words), await outcome(option));
    }
  });

  test('repeats an option: each takes one value, and what stands behind it is its own', async () => {
    const options = ['--option', 'iat-mode=1', '--option', 'drbg-sed=1'];
    assert.match((await outcome([...bridge, ...options])).stderr, /no option `drbg-sed`/);
    const eaten = await outcome([...bridge, '--option', 'iat-mode=1', 'more']);
    assert.match(eaten.stderr, /too many arguments|unexpected|Expected 0/);
  });

  test('has a wrong option in a torrc: it is no fault of the command line', async (t) => {
    const torrc = join(temporaryDirectory(t), 'torrc');
    const lines = [
      'SocksPort 0',
      'ServerTransportPlugin obfs4 builtin',
      'ServerTransportListenAddr obfs4 127.0.0.1:0',
      'ServerTransportOptions obfs4 iat-mode=9',
    ];
    await writeFile(torrc, [`DataDirectory ${dirname(torrc)}`, ...lines, ''].join('\n'));
    for (const more of [[], ['--verify']]) {
      const result = await outcome(['run', '-f', torrc, ...more]);
      assert.equal(result.exitCode, ExitCode.failed);
      assert.match(result.stderr, /iat-mode[^]*ERR_TRANSPORT_OPTION[^]*ServerTransportOptions/);
    }
  });
});

describe('postern explain', () => {
  test('knows every code, every option, every limit, and prints what the tables say', async () => {
    const members = Object.entries(optionGroups).flatMap(([group, { members: some }]) => [
      group,
      ...Object.keys(some),
    ]);
    const names = [errorTable, optionTable, limitTable].flatMap((table) => Object.keys(table));
    assert.deepEqual([...explanations().keys()].toSorted(), [...names, ...members].toSorted());
    const { stdout: list, exitCode } = await outcome(['explain']);
    assert.equal(exitCode, ExitCode.ok);
    for (const name of explanations().keys()) {
      assert.ok(list.includes(`  ${name}\n`), name);
      const { stdout } = await outcome(['explain', name.toLowerCase()]);
      assert.equal(stdout, explanations().get(name));
    }
    for (const { summary, remedy } of Object.values(errorTable)) {
      assert.ok(
        [...explanations().values()].some(
          (text) => text.includes(summary) && text.includes(remedy),
        ),
      );
    }
    for (const { summary, type } of Object.values(optionTable)) {
      assert.ok(
        [...explanations().values()].some(
          (text) => text.includes(summary) && text.includes(type.syntax),
        ),
      );
    }
  });

  test('no remedy points to a document that is not there where somebody reads it', () => {
    for (const [code, { remedy }] of Object.entries(errorTable))
      assert.doesNotMatch(remedy, /docs\//, code);
  });
});

describe('postern ctl finds the way in by itself', () => {
  test('the cookie in the usual directory, and where a torrc says; else it says what to do', async (t) => {
    const directory = temporaryDirectory(t);
    const env = { XDG_STATE_HOME: directory, HOME: directory };
    const torrc = join(directory, 'torrc');
    await writeFile(torrc, 'SocksPort 0\nControlPort auto\nCookieAuthentication 1\n');
    const daemon = startCommand(['run', '-f', torrc], env);
    const cookie = join(directory, 'postern', 'control_auth_cookie');
    await daemon.stdout.match(new RegExp(`The cookie that lets them in is in ${cookie}\\n`));
    const [, address] = await daemon.stdout.match(/Controllers connect to (\S+)/);

    const usual = await outcome(['ctl', '--control', address!, 'getconf', 'Nickname'], env);
    assert.deepEqual(usual, { exitCode: 0, stdout: 'Nickname  Unnamed\n', stderr: '' });

    const other = await outcome(['ctl', '--control', address!, 'getconf', 'Nickname'], {
      HOME: '/nowhere',
    });
    assert.equal(other.exitCode, ExitCode.failed);
    assert.match(
      other.stderr,
      /looked for in \/nowhere\/\.local\/state\/postern\/control_auth_cookie\.[^]*--cookie FILE/,
    );

    const auto = await outcome(['ctl', '-f', torrc, 'getconf', 'Nickname'], env);
    assert.equal(auto.exitCode, ExitCode.usage);
    assert.match(auto.stderr, /the daemon’s log tells it; give it with --control/);

    // As it will stand there at the next start.
    await writeFile(
      torrc,
      `ControlPort ${address}\nCookieAuthentication 1\nDataDirectory ${directory}/postern\n`,
    );
    const told = await outcome(['ctl', '-f', torrc, 'getconf', 'Nickname'], { HOME: '/nowhere' });
    assert.deepEqual(told, { exitCode: 0, stdout: 'Nickname  Unnamed\n', stderr: '' });

    const events = startCommand(['ctl', '--control', address!, 'events', 'bandwidth'], env);
    await events.stdout.match(/^\d\d:\d\d:\d\d {2}bandwidth +\d+ B\/s read +\d+ B\/s written\n/);
    events.drain();
    daemon.stop();
    await Promise.all([events.exitCode, daemon.exitCode]);
  });
});

describe('postern client', () => {
  test('listens at once, says that nothing is tried, then what came of it, and stays', async (t) => {
    const service = await listen(t, echo);
    const port = await listen(t, () => {});
    port.abort();
    const args = ['client', `obfs3 ${port.text}`, '--forward-from', '127.0.0.1:0'];
    const running = startCommand(args);
    t.after(() => running.stop());
    await running.stderr.match(/Listening on[^]*The bridge is not tried yet/);
    const [, text] = await running.stderr.match(/Listening on (\S+)/);
    const dial = createDirectDialer();
    const lost = await dial(parseIpEndpoint(text!)!);
    lost.on('error', () => {});
    const closed = once(lost.resume(), 'close').catch(() => {});
    await running.stderr.match(/cannot connect through the bridge: .*ERR_DIAL_REFUSED/);
    await closed;

    const bridgeVerb = startCommand([
      'bridge',
      '--transport',
      'obfs3',
      '--listen',
      port.text,
      '--forward',
      service.text,
      '--state',
      temporaryDirectory(t),
    ]);
    t.after(() => bridgeVerb.stop());
    await bridgeVerb.stdout.match(/obfs3/);
    const stream = await dial(parseIpEndpoint(text!)!);
    stream.write('hello');
    assert.equal((await readBytes(stream, 5)).toString(), 'hello');
    await running.stderr.match(/The bridge answers: a connection goes through it\./);
    stream.destroy();
    running.stop();
    bridgeVerb.stop();
    assert.deepEqual(await Promise.all([running.exitCode, bridgeVerb.exitCode]), [0, 0]);
  });
});

test('what is printed for a shell begins with what that shell finds', (t) => {
  const ownCommand = [process.execPath, join(process.cwd(), 'bin', 'postern')] as const;
  const node = dirname(process.execPath);
  assert.equal(ownName({ env: { PATH: node }, ownCommand }), 'node bin/postern');
  assert.equal(
    ownName({ env: { PATH: '/nowhere' }, ownCommand }),
    `${process.execPath} bin/postern`,
  );
  assert.equal(
    ownName({ env: { PATH: `${node}:${join(process.cwd(), 'bin')}` }, ownCommand }),
    'postern',
  );
  const other = temporaryDirectory(t);
  assert.equal(
    ownName({ env: { PATH: node }, ownCommand: [process.execPath, join(other, 'a b')] }),
    `node '${join(other, 'a b')}'`,
  );
});
