import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ExitCode } from '../../src/cli/context.ts';
import { stopRequestsOf } from '../../src/proxy/stop-requests.ts';
import { version } from '../../src/version.ts';
import { startCommand } from '../support/command.ts';

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
    // obfs4proxy's way to say it.
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
      /^VERSION 1\nCMETHOD obfs4 socks5 127\.0\.0\.1:\d+\nCMETHODS DONE\n/,
    );
    command.stop();
    assert.equal(await command.exitCode, ExitCode.ok);
  });

  test('the options of obfs4proxy are understood, with one dash or two', async () => {
    for (const args of [
      ['-enableLogging', '-logLevel', 'DEBUG', '-unsafeLogging'],
      ['--enableLogging', '--logLevel=WARN'],
    ]) {
      const command = startCommand(args, managedEnv);
      await command.stdout.match(/CMETHODS DONE\n/);
      command.stop();
      assert.equal(await command.exitCode, ExitCode.ok);
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.endsWith('.log')),
        ['postern.log'],
      );
    }
  });

  test('a log level that is none ends it with a line on stderr, none on stdout', async () => {
    const { exitCode, stdout, stderr } = await runToEnd(['--log-level', 'loud'], managedEnv);
    assert.equal(exitCode, ExitCode.usage);
    assert.equal(stdout, '');
    assert.match(stderr, /--log-level takes one of error, warning, notice, info, debug/);
  });

  test('a verb is a verb there too', async () => {
    assert.equal((await runToEnd(['bridge'], managedEnv)).exitCode, ExitCode.usage);
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
