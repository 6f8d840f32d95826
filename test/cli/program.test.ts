import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { packageRoot } from '../../scripts/paths.ts';
import { ExitCode } from '../../src/cli/context.ts';
import { stopRequestsOf } from '../../src/proxy/stop-requests.ts';
import { version } from '../../src/version.ts';
import { startCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const managedEnv = {
  TOR_PT_MANAGED_TRANSPORT_VER: '1',
  TOR_PT_STATE_LOCATION: folder,
  TOR_PT_CLIENT_TRANSPORTS: 'obfs4',
};

async function runToEnd(args: readonly string[], env?: Readonly<Record<string, string>>) {
  const command = startCommand(args, env);
  const exitCode = await command.exitCode;
  return { exitCode, stdout: command.stdout.text, stderr: command.stderr.text };
}

describe('the command line', () => {
  test('help names every verb and transport, and goes to stdout', async () => {
    const { exitCode, stdout, stderr } = await runToEnd(['--help']);
    assert.equal(exitCode, ExitCode.ok);
    for (const word of ['bridge', 'client', 'demo', 'obfs3', 'obfs4', 'Exit codes:']) {
      assert.ok(stdout.includes(word), word);
    }
    assert.equal(stderr, '');
  });

  for (const verb of ['bridge', 'client', 'demo']) {
    test(`help of ${verb} lists its exit codes`, async () => {
      const { exitCode, stdout } = await runToEnd([verb, '--help']);
      assert.equal(exitCode, ExitCode.ok);
      assert.match(stdout, /Exit codes:\n {2}0 /);
    });
  }

  test('[PT-3.3.1-01] a parent that forgets the version list is told so in its own language', async () => {
    for (const role of ['CLIENT', 'SERVER']) {
      const env = { TOR_PT_STATE_LOCATION: folder, [`TOR_PT_${role}_TRANSPORTS`]: 'obfs4' };
      const { exitCode, stdout } = await runToEnd([], env);
      assert.equal(exitCode, ExitCode.failed);
      assert.match(stdout, /^ENV-ERROR TOR_PT_MANAGED_TRANSPORT_VER.*\n$/);
    }
  });

  test('the version is printed, under a parent as well', async () => {
    for (const env of [{}, managedEnv]) {
      for (const option of ['--version', '-V']) {
        assert.deepEqual(await runToEnd([option], env), {
          exitCode: ExitCode.ok,
          stdout: `${version}\n`,
          stderr: '',
        });
      }
    }
    // obfs4proxy's way to say it, as people type it too.
    assert.equal((await runToEnd(['-version'])).stdout, `${version}\n`);
    assert.equal((await runToEnd(['-version'], managedEnv)).stdout, `${version}\n`);
  });

  test('without a verb and without a parent it says how it is used, and fails', async () => {
    const { exitCode, stdout, stderr } = await runToEnd([]);
    assert.equal(exitCode, ExitCode.usage);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: postern/);
  });

  const wrong: readonly (readonly [string[], RegExp])[] = [
    [['nonsense'], /no verb nonsense/],
    [['conform', 'pt', '--json', '--', 'obfs4proxy', '-x'], /now: run `npx postern-conform`/],
    [['--nonsense'], /unknown option/],
    [['bridge'], /--listen/],
    [['bridge', '--listen', 'x', '--forward', 'a:1'], /--listen takes/],
    [['bridge', '--listen', '127.0.0.1:0', '--forward', 'x'], /--forward takes/],
    [
      ['bridge', '--listen', '127.0.0.1:0', '--forward', 'a:1', '--option', 'x'],
      /--option takes key=value/,
    ],
    [
      [
        'bridge',
        '--listen',
        '127.0.0.1:0',
        '--forward',
        'a:1',
        '--transport',
        'x',
        '--state',
        '/x',
      ],
      /ERR_TRANSPORT_UNKNOWN/,
    ],
    [
      ['bridge', '--listen', '127.0.0.1:0', '--forward', 'a:1', '--public', 'host'],
      /--public takes an IP address/,
    ],
    [['client', 'obfs3 0.0.0.0:1', '--socks', '127.0.0.1:0'], /is a wildcard/],
    [['client', 'obfs4 192.0.2.1:1'], /one of --socks and --forward-from/],
    [['client', 'x', '--socks', '127.0.0.1:0'], /ERR_PT_BRIDGE_LINE/],
    [['client', '192.0.2.1:1', '--socks', '127.0.0.1:0'], /ERR_PT_BRIDGE_LINE/],
    [['client', 'obfs4 192.0.2.1:1', '--socks', '127.0.0.1:0'], /ERR_TRANSPORT_ARGUMENT/],
    [['client', 'x 192.0.2.1:1', '--socks', '127.0.0.1:0'], /ERR_TRANSPORT_UNKNOWN/],
    [
      ['client', 'obfs3 192.0.2.1:1', '--socks', '127.0.0.1:0', '--upstream', 'ftp://127.0.0.1:1'],
      /ERR_PT_UPSTREAM_PROXY/,
    ],
    [['demo', '--mb', '0'], /--mb takes/],
  ];
  for (const [args, message] of wrong) {
    test(`refuses: ${args.join(' ')}`, async () => {
      const { exitCode, stdout, stderr } = await runToEnd(args);
      assert.equal(exitCode, ExitCode.usage);
      assert.match(stderr, message);
      assert.equal(stdout, '');
    });
  }
});

describe('under a parent', () => {
  test('no argument is a managed proxy, which ends when told to', async () => {
    const command = startCommand([], managedEnv);
    await command.stdout.match(
      /^VERSION 1\nCMETHOD obfs4 socks5 127\.0\.0\.1:\d+\nSTATUS TYPE=version IMPLEMENTATION=postern VERSION=[0-9.]+\nCMETHODS DONE\n/,
    );
    command.stop();
    assert.equal(await command.exitCode, ExitCode.ok);
  });

  // Command lines of the world.
  const lines: readonly (readonly [string, RegExp, string[]])[] = [
    ['managed', /LOG SEVERITY=warning MESSAGE="ignored on the command line: managed"/, []],
    ['-enableLogging=true -logLevel=INFO', /MESSAGE="obfs4 listens/, ['postern.log']],
    ['--enableLogging=true --logLevel=INFO', /MESSAGE="obfs4 listens/, ['postern.log']],
    ['-enableLogging -logLevel DEBUG -unsafeLogging', /MESSAGE="obfs4 listens/, ['postern.log']],
    ['-enableLogging=true -logLevel=ERROR', /^CMETHODS DONE$/m, []],
    ['-enableLogging=0 --log-level info', /MESSAGE="obfs4 listens/, []],
    ['-enableLogging -enableLogging=F', /asked for obfs4/, []],
    ['-unsafeLogging=true', /asked for obfs4/, []],
    ['-obfs4-distBias', /MESSAGE="--obfs4-distBias changes nothing/, []],
    ['-logLevel=WARN managed -nonsense', /command line: managed -nonsense"/, []],
    ['-logLevel INFO -- -nonsense', /command line: -nonsense"/, []],
    ['- bridge', /command line: - bridge"/, []],
    ['--log-file=x.log', /asked for obfs4/, ['x.log']],
  ];
  for (const [line, expected, files] of lines) {
    test(`exec postern ${line}`, async (t) => {
      const state = temporaryDirectory(t);
      const args = line.split(' ');
      const command = startCommand(args, { ...managedEnv, TOR_PT_STATE_LOCATION: state });
      await command.stdout.match(/CMETHODS DONE\n/);
      await command.stdout.match(expected);
      command.stop();
      assert.equal(await command.exitCode, ExitCode.ok);
      assert.equal(command.stderr.text, '');
      assert.deepEqual(
        readdirSync(state).filter((name) => name.endsWith('.log')),
        files,
      );
    });
  }

  test('the lines that docs/under-tor.md promises are among them', () => {
    const page = readFileSync(join(packageRoot, 'docs', 'under-tor.md'), 'utf8');
    const [, table] = page.split(/^\| behind `exec .*$/m);
    const promised = [...table!.split('\n\n')[0]!.matchAll(/^\| (`.*?`) +\|/gm)]
      .flatMap(([, cell]) => cell!.split(', '))
      .map((line) => line.slice(1, -1));
    assert.ok(promised.length >= 8);
    const tried = ['-version', ...lines.map(([line]) => line)];
    assert.deepEqual(
      promised.filter((line) => !tried.includes(line)),
      [],
    );
  });

  test('the log file begins with program, version, transports and listeners', async (t) => {
    const state = temporaryDirectory(t);
    const env = { ...managedEnv, TOR_PT_STATE_LOCATION: state };
    const command = startCommand(['--enableLogging', '--logLevel', 'INFO'], env);
    const [, port] = await command.stdout.match(/^CMETHOD obfs4 socks5 127\.0\.0\.1:(\d+)$/m);
    command.stop();
    await command.exitCode;
    assert.deepEqual(
      readFileSync(join(state, 'postern.log'), 'latin1')
        .split('\n')
        .slice(0, 2)
        .map((line) => line.replace(/^\S+ /, '')),
      [
        `[notice] postern-${version} as a client, asked for obfs4`,
        `[info] obfs4 listens on port ${port} of loopback`,
      ],
    );
  });

  const { TOR_PT_CLIENT_TRANSPORTS: _, ...noRole } = managedEnv;
  const failures: readonly (readonly [string, RegExp, Readonly<Record<string, string>>?])[] = [
    ['--log-level loud', /--log-level takes one of error, warning, notice, info, debug/],
    ['-logLevel', /-logLevel needs a value/],
    ['-enableLogging=yes', /-enableLogging takes true or false/],
    ['-nonsense', /unknown option -nonsense/],
    ['---enableLogging', /---enableLogging is no option/],
    ['-=x', /-=x is no option/],
    ['-h', /help is for people/],
    ['--plugin ./nowhere.mjs', /--plugin \.\/nowhere\.mjs: the module cannot be loaded/],
    ['bridge', /required option '--listen <address:port>' not specified/],
    ['demo --nonsense', /unknown option '--nonsense'/],
    ['ctl', /a verb is missing/],
    ['client x --socks 127.0.0.1:0', /ERR_PT_BRIDGE_LINE/],
    ['run -f /nonexistent/torrc', /ERR_CONFIG_FILE/],
    ['--log-file ../x', /the log file must be a name without directories/],
    ['', /TOR_PT_CLIENT_TRANSPORTS nor TOR_PT_SERVER_TRANSPORTS/, noRole],
    ['-nonsense', /unknown option/, { TOR_PT_EXIT_ON_STDIN_CLOSE: '1' }],
  ];
  for (const [line, expected, env = managedEnv] of failures) {
    test(`[PT-3.3.1-12] [PT-3.3.1-13] exec postern ${line}: ENV-ERROR on stdout`, async () => {
      const args = line.split(' ').filter((word) => word !== '');
      const { exitCode, stdout } = await runToEnd(args, env);
      assert.notEqual(exitCode, ExitCode.ok);
      const [error, ...others] = stdout.split('\n').filter((text) => /-ERROR /.test(text));
      assert.match(error ?? stdout, /^ENV-ERROR [\x20-\x7e]+$/);
      assert.match(error!, expected);
      assert.deepEqual(others, []);
    });
  }

  test('a parent that asks for help gets it in ASCII', async () => {
    assert.match((await runToEnd(['client', '--help'], managedEnv)).stdout, /^[\n\x20-\x7e]+$/);
    assert.match((await runToEnd(['client', '--help'], {})).stdout, /…/);
  });

  test('a verb is a verb there too', async () => {
    const { stderr } = await runToEnd(['bridge'], managedEnv);
    assert.match(stderr, /--listen/);
  });
});

test('the first Ctrl-C drains; the second, SIGTERM and the loss of stdout end now', () => {
  const start = () => {
    const [signals, stdout] = [new EventEmitter(), new EventEmitter()];
    return { signals, stdout, stop: stopRequestsOf(signals, stdout) };
  };
  const states = ({ stop }: ReturnType<typeof start>) => [stop.drain.aborted, stop.now.aborted];

  const interrupted = start();
  interrupted.signals.emit('SIGINT');
  assert.deepEqual(states(interrupted), [true, false]);
  interrupted.signals.emit('SIGINT');
  assert.deepEqual(states(interrupted), [true, true]);

  const terminated = start();
  terminated.signals.emit('SIGTERM');
  assert.deepEqual(states(terminated), [true, true]);

  const unheard = start();
  unheard.stdout.emit('error', new Error('EPIPE'));
  assert.deepEqual(states(unheard), [true, true]);
});
