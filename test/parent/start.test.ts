import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CmethodMessage } from '../../src/pt/messages.ts';
import type { Child } from '../../src/parent/launch.ts';
import { startTransports, type StartOptions } from '../../src/parent/start.ts';
import type { ClientLaunch } from '../../src/pt/launch-environment.ts';
import { fakePt, type FakePtScript } from '../support/fake-pt.ts';

const STARTED =
  'VERSION 1\nCMETHOD obfs4 socks5 127.0.0.1:9\nLOG SEVERITY=warning MESSAGE=hm\nCMETHODS DONE\n';

function options(script: FakePtScript, ...transports: string[]): StartOptions<ClientLaunch> {
  return {
    command: fakePt(script),
    configuration: { role: 'client', stateLocation: '/nonexistent/state', transports },
  };
}

describe('a program that is to have certain transports', { concurrency: 4 }, () => {
  test('is started again when it ends, and what happens is told in words', async (t) => {
    const lines: string[] = [];
    const children: Child<CmethodMessage>[] = [];
    let onSecond!: (child: Child<CmethodMessage>) => void;
    const second = new Promise<Child<CmethodMessage>>((resolve) => (onSecond = resolve));
    const supervisor = await startTransports({
      ...options({ stdout: STARTED }, 'obfs4'),
      onRunning: (child) => children.push(child) === 2 && onSecond(child),
      onLog: (severity, text) => lines.push(`${severity} ${text.replace(/[0-9.]+/g, '#')}`),
    });
    t.after(() => supervisor.close());
    process.kill(children[0]!.pid, 'SIGKILL');
    assert.equal(await second, await supervisor.child());
    assert.notEqual(children[0]!.pid, children[1]!.pid);
    const name = process.execPath.replace(/^.*\//, '');
    const [warning, running, again, ...rest] = lines;
    assert.equal(warning, `warning ${name}: hm`);
    assert.equal(running, `notice ${name} runs as process #`);
    assert.match(again!, /^warning \S+: .*ERR_PARENT_CRASHED.* Trying again in # s#$/);
    assert.deepEqual(rest, [warning, running]);
  });

  test('is refused, and gone, when it lacks one of them', async () => {
    for (const [script, reason] of [
      [STARTED, /transport obfs3: the program does not know it/],
      [STARTED.replace('LOG', 'CMETHOD-ERROR obfs3 no luck\nLOG'), /transport obfs3: no luck/],
    ] as const) {
      const pids: number[] = [];
      await assert.rejects(
        startTransports({
          ...options({ stdout: script }, 'obfs4', 'obfs3'),
          onRunning: ({ pid }) => pids.push(pid),
        }),
        { code: 'ERR_PARENT_TRANSPORT', message: reason },
      );
      assert.deepEqual(pids, []);
    }
  });

  test('is refused at its first failure, and not tried again', async () => {
    const lines: string[] = [];
    await assert.rejects(
      startTransports({
        ...options({ stdout: 'VERSION 1\n', end: 3 }, 'obfs4'),
        onLog: (_severity, text) => lines.push(text),
      }),
      { code: 'ERR_PARENT_START_ENDED' },
    );
    assert.deepEqual(lines, []);
  });

  test('is given up with the signal while it starts, and not afterwards', async (t) => {
    const ending = new AbortController();
    const { signal } = ending;
    const started = await startTransports({ ...options({ stdout: STARTED }, 'obfs4'), signal });
    t.after(() => started.close());
    const child = await started.child();
    const reason = new Error('no more');
    const starting = startTransports({
      ...options({ stdout: 'VERSION 1\n', stderr: 'here\n' }, 'obfs4'),
      signal,
      onEvent: () => ending.abort(reason),
    });
    await assert.rejects(starting, reason);
    await assert.rejects(
      startTransports({ ...options({ stdout: STARTED }, 'obfs4'), signal }),
      reason,
    );
    assert.equal(await started.child(), child);
    process.kill(child.pid, 0);
  });
});
