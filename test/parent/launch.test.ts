import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { execPath } from 'node:process';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { limits } from '../../src/limits.ts';
import { ChildError } from '../../src/parent/child-error.ts';
import { launch, type ChildEvent, type LaunchOptions } from '../../src/parent/launch.ts';
import type {
  ClientLaunch,
  LaunchConfiguration,
  ServerLaunch,
} from '../../src/pt/launch-environment.ts';
import { fakePt, type FakePtDump, type FakePtScript } from '../support/fake-pt.ts';
import { HandTimers } from '../support/hand-timers.ts';

const client: ClientLaunch = {
  role: 'client',
  stateLocation: '/nonexistent/state',
  transports: ['obfs3', 'obfs4'],
};
const server: ServerLaunch = {
  role: 'server',
  stateLocation: '/nonexistent/state',
  transports: [{ name: 'obfs4', options: [] }],
};
const started = 'VERSION 1\nCMETHOD obfs4 socks5 127.0.0.1:9\nCMETHODS DONE\n';

function options<L extends LaunchConfiguration>(
  configuration: L,
  script: FakePtScript,
): LaunchOptions<L> {
  return { command: fakePt(script), configuration };
}

async function failureOf(options: LaunchOptions): Promise<ChildError> {
  const error: unknown = await launch(options).then(
    async (child) => {
      await child.close();
      throw new Error('the launch succeeded');
    },
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ChildError, String(error));
  return error;
}

describe('launching a PT program', { concurrency: 4 }, () => {
  test('[PT-3-01] [PT-3.2.1-01] [PT-3.2.1-13] [PT-3.2.2-03] [PT-3.2.2-09] the environment is complete at the very start, and nothing stray is in it', async () => {
    const lines: string[] = [];
    const child = await launch({
      ...options(client, { dump: true, stdout: started }),
      env: {
        ...process.env,
        TOR_PT_PROXY: 'socks5://127.0.0.1:1',
        TOR_PT_SERVER_TRANSPORTS: 'stray',
        TOR_PT_AUTH_COOKIE_FILE: '/stray',
        SECRET_TOKEN: 'stray',
        LANG: 'C',
      },
      onEvent: (event) => event.type === 'line' && lines.push(event.line),
    });
    const dump = JSON.parse(lines[0]!.replace(/^X-DUMP /, '')) as FakePtDump;
    assert.equal(dump.parentPid, process.pid);
    const { PATH: _path, HOME: _home, ...env } = dump.env;
    const torPt = Object.fromEntries(
      Object.entries(env).filter(([name]) => name.startsWith('TOR_PT_')),
    );
    assert.deepEqual(torPt, {
      TOR_PT_MANAGED_TRANSPORT_VER: '1',
      TOR_PT_STATE_LOCATION: '/nonexistent/state',
      TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
      TOR_PT_CLIENT_TRANSPORTS: 'obfs3,obfs4',
    });
    assert.equal(env['LANG'], 'C');
    assert.ok(!('SECRET_TOKEN' in env));
    assert.deepEqual(await child.close(), {
      wasRequested: true,
      stage: 'ready',
      exitCode: 0,
      signal: null,
      stderrLines: [],
    });
  });

  test('[PT-3.2.3-03] [PT-3.2.3-21] [PT-3.2.3-24] [PT-3.2-02] the environment of a server', async () => {
    const lines: string[] = [];
    const child = await launch({
      ...options(server, {
        dump: true,
        stdout: 'VERSION 1\nSMETHOD obfs4 192.0.2.1:9 ARGS:a=b\nSMETHODS DONE\n',
      }),
      env: { ...process.env, TOR_PT_CLIENT_TRANSPORTS: 'stray', TOR_PT_AUTH_COOKIE_FILE: '/stray' },
      onEvent: (event) => event.type === 'line' && lines.push(event.line),
    });
    const { env } = JSON.parse(lines[0]!.replace(/^X-DUMP /, '')) as FakePtDump;
    assert.equal(env['TOR_PT_SERVER_TRANSPORTS'], 'obfs4');
    assert.equal(env['TOR_PT_EXTENDED_SERVER_PORT'], '');
    assert.ok(!('TOR_PT_CLIENT_TRANSPORTS' in env) && !('TOR_PT_AUTH_COOKIE_FILE' in env));
    assert.deepEqual(child.methods.get('obfs4')?.args, [['a', 'b']]);
    await child.close();
  });

  test('[PT-3.3.2-16] what listens, what failed and what nobody knows', async () => {
    const events: ChildEvent[] = [];
    const transports = ['obfs4', 'bad', 'unknown_one'];
    const child = await launch({
      ...options(
        { ...client, transports },
        {
          stderr: 'from 192.0.2.9:1\n',
          stdout: `VERSION 1\nLOG SEVERITY=notice MESSAGE="peer 192.0.2.9:1"\nFOO\nCMETHOD-ERROR bad no rocks\n${started.slice(10)}`,
        },
      ),
      onEvent: (event) => events.push(event),
    });
    assert.deepEqual([...child.methods.keys()], ['obfs4']);
    assert.equal(child.failures.get('bad'), 'no rocks');
    assert.deepEqual(child.missing, ['unknown_one']);
    assert.deepEqual(
      events.filter(({ type }) => type === 'log' || type === 'ignored'),
      [
        { type: 'log', message: { kind: 'LOG', severity: 'notice', text: 'peer [scrubbed]' } },
        { type: 'ignored', reason: 'unknown keyword' },
      ],
    );
    const end = await child.close();
    assert.deepEqual(end.stderrLines, ['from [scrubbed]']);
    assert.ok(events.some((event) => event.type === 'stderr' && event.line === 'from [scrubbed]'));
  });

  test('a program that dies before DONE: exit code, stage, last words', async () => {
    const error = await failureOf(
      options(client, {
        stdout: 'VERSION 1\n',
        stderr: `${'talk\n'.repeat(100)}panic: no rocks`,
        end: 7,
      }),
    );
    assert.equal(error.code, 'ERR_PARENT_START_ENDED');
    assert.equal(error.end.exitCode, 7);
    assert.equal(error.end.stage, 'versionAgreed');
    assert.equal(error.end.stderrLines.length, 40);
    assert.equal(error.end.stderrLines.at(-1), 'panic: no rocks');
    assert.match(
      error.message,
      /exit code 7, at stage versionAgreed; last on stderr: panic: no rocks/,
    );
  });

  test('[PT-3.3-01] an unterminated last line does not count', async () => {
    const error = await failureOf(
      options(client, { stdout: 'VERSION 1\nCMETHODS DONE', end: 'SIGKILL' }),
    );
    assert.deepEqual(
      [error.code, error.end.signal, error.end.exitCode],
      ['ERR_PARENT_START_ENDED', 'SIGKILL', null],
    );
  });

  test('[PT-3.3.1-12] [PT-3.3.1-13] ENV-ERROR: the program’s own words, and its exit code', async () => {
    const error = await failureOf(
      options(client, { stdout: 'VERSION 1\nENV-ERROR TOR_PT_X is odd\n', end: 1 }),
    );
    assert.equal(error.code, 'ERR_PARENT_CONFIGURATION');
    assert.match(error.message, /TOR_PT_X is odd.*exit code 1/);
  });

  test('1 MB without a newline is survived, and so is CMETHODX', async () => {
    const events: ChildEvent[] = [];
    const child = await launch({
      ...options(client, { floodBytes: 1_000_000, stdout: `CMETHODX a b c\n${started}` }),
      onEvent: (event) => events.push(event),
    });
    assert.deepEqual(
      events.filter(({ type }) => type === 'ignored'),
      [
        { type: 'ignored', reason: 'a line of more than 65536 bytes' },
        { type: 'ignored', reason: 'unknown keyword' },
      ],
    );
    assert.ok(child.methods.has('obfs4'));
    await child.close();
  });

  test('both pipes are drained while it runs: a talkative program is never blocked', async () => {
    // Far more than a pipe holds; the program could not end if nobody read.
    const child = await launch(
      options(client, { stdout: started, lastFloodBytes: 2_000_000, end: 3 }),
    );
    const end = await child.closed;
    assert.deepEqual([end.exitCode, end.wasRequested, end.stage], [3, false, 'ready']);
    assert.deepEqual(end.stderrLines, ['(a line of more than 4096 bytes)']);
  });

  test('a program that hangs is stopped when its time is over', async () => {
    const timers = new HandTimers();
    const failed = failureOf({
      ...options(client, { stdout: 'VERSION 1\n', onStdinEnd: { code: 5, afterMs: 0 } }),
      startTimeoutMs: 1234,
      timers,
      onEvent: (event) => event.type === 'line' && void timers.fire(1234),
    });
    const error = await failed;
    assert.equal(error.code, 'ERR_PARENT_START_TIMED_OUT');
    assert.deepEqual([error.end.exitCode, error.end.stage], [5, 'versionAgreed']);
  });

  test('a grandchild that holds the pipes open does not hold up the report', async () => {
    const timers = new HandTimers();
    let grandchild = 0;
    const failed = failureOf({
      command: ['/bin/sh', '-c', 'sleep 60 & echo "X-PID $!"; exit 6'],
      configuration: client,
      timers,
      onEvent: (event) => {
        if (event.type === 'line') grandchild = Number(event.line.split(' ')[1]);
      },
    });
    await timers.fire(limits.childDrainMs);
    const error = await failed;
    assert.deepEqual([error.code, error.end.exitCode], ['ERR_PARENT_START_ENDED', 6]);
    process.kill(grandchild, 'SIGKILL');
  });

  test('[PT-3-01] a program that cannot be executed is a launch error', async () => {
    for (const command of [
      ['/nonexistent/program'],
      ['/etc'],
      ['/bin/true', 'x'.repeat(3_000_000)],
    ] as const) {
      const error = await failureOf({ command, configuration: client });
      assert.equal(error.code, 'ERR_PARENT_SPAWN');
      assert.deepEqual([error.end.exitCode, error.end.signal], [null, null]);
    }
  });

  test('[PT-3.2.1-07] [PT-3.2.3-13] a configuration that cannot be said is refused before anything is started', async () => {
    const command = ['/nonexistent/program'] as const;
    await assert.rejects(
      launch({ command, configuration: { ...client, stateLocation: 'relative' } }),
      { code: 'ERR_PT_ENVIRONMENT' },
    );
    const bindAddress = { host: 'localhost', port: 1 };
    await assert.rejects(
      launch({
        command,
        configuration: { ...server, transports: [{ name: 'obfs3', bindAddress, options: [] }] },
      }),
      { code: 'ERR_PT_ENVIRONMENT' },
    );
  });

  test('giving up: the signal’s reason comes out, and the child is gone', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const { promise: gone, port } = await watchEnd();
    await assert.rejects(
      launch({
        ...options(client, { connectTo: port, stdout: 'VERSION 1\n' }),
        signal: abort.signal,
        onEvent: (event) => event.type === 'line' && abort.abort(reason),
      }),
      (error) => error === reason,
    );
    await gone;
    await assert.rejects(
      launch({ ...options(client, {}), signal: abort.signal }),
      (error) => error === reason,
    );
  });

  test('close twice, abort, and dispose after the end', async () => {
    const closing = await launch(options(client, { stdout: started }));
    assert.equal(closing.close(), closing.close());
    closing.abort();
    await closing.closed;
    const aborted = await launch(
      options(client, { stdout: started, onStdinEnd: 'ignore', onSigterm: 'ignore' }),
    );
    aborted.abort();
    const end = await aborted.closed;
    assert.deepEqual([end.signal, end.wasRequested], ['SIGKILL', true]);
    await aborted[Symbol.asyncDispose]();
  });

  test('our own death ends the child: it sees stdin close', async () => {
    const { promise: gone, port, connected } = await watchEnd();
    const parent = spawn(execPath, [
      '--input-type=module',
      '-e',
      `import { launch } from ${JSON.stringify(new URL('../../src/parent/launch.js', import.meta.url).href)};
       await launch(${JSON.stringify(options(client, { connectTo: port, stdout: started }))});`,
    ]);
    await connected;
    parent.kill('SIGKILL');
    await gone;
  });
});

/** A port to which a fake connects; `promise` resolves when the fake is gone. */
async function watchEnd(): Promise<{
  port: number;
  connected: Promise<void>;
  promise: Promise<void>;
}> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const connection = once(listener, 'connection').then(([socket]) => socket as Socket);
  const promise = connection.then(async (socket) => {
    socket.on('error', () => {}).resume();
    if (!socket.closed) await once(socket, 'close');
    listener.close();
  });
  return { port, connected: connection.then(() => {}), promise };
}
