import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ChildEnd } from '../../src/parent/child-error.ts';
import { launch } from '../../src/parent/launch.ts';
import { terminate, type Stoppable } from '../../src/parent/terminate.ts';
import { limits } from '../../src/limits.ts';
import { fakePt, type FakePtScript } from '../support/fake-pt.ts';
import { HandTimers } from '../support/hand-timers.ts';

/** A process that is gone after the step of this name, and that writes down what was done to it. */
function recorded(
  goneAfter: 'stdin' | 'SIGTERM' | 'SIGKILL',
): Stoppable & { readonly steps: string[] } {
  const steps: string[] = [];
  let exit = (): void => {};
  const exited = new Promise<void>((resolve) => (exit = resolve));
  const take = (step: string): void => {
    steps.push(step);
    if (step === goneAfter) exit();
  };
  return { steps, exited, closeStdin: () => take('stdin'), kill: take };
}

test('[PT-3.4-05] [PT-3.4-03] the four steps come in order, and stop as soon as the process is gone', async () => {
  const ladder = ['stdin', 'SIGTERM', 'SIGKILL'] as const;
  for (const [index, goneAfter] of ladder.entries()) {
    const timers = new HandTimers();
    const process = recorded(goneAfter);
    const stopped = terminate(process, { stdinWaitMs: 11, termWaitMs: 22 }, timers);
    if (index > 0) await timers.fire(11);
    if (index > 1) await timers.fire(22);
    await stopped;
    assert.deepEqual(process.steps, ladder.slice(0, index + 1));
    assert.deepEqual(timers.delays, [], 'no timer is left behind');
  }
});

test('[PT-3.4-03] without other orders each step waits some seconds', () => {
  const timers = new HandTimers();
  void terminate(recorded('SIGKILL'), {}, timers);
  assert.deepEqual(timers.delays, [limits.childStdinWaitMs]);
  assert.ok(limits.childStdinWaitMs >= 1_000 && limits.childTermWaitMs >= 1_000);
});

describe('real programs on the ladder', { concurrency: 4 }, () => {
  /** Launches, closes, and lets the waits run out that this program needs. */
  async function stop(script: FakePtScript, ...waits: number[]): Promise<ChildEnd> {
    const timers = new HandTimers();
    const child = await launch({
      command: fakePt({ stdout: 'VERSION 1\nCMETHODS DONE\n', ...script }),
      configuration: {
        role: 'client',
        stateLocation: '/nonexistent',
        transports: ['obfs4'],
      },
      stopWaits: { stdinWaitMs: 11, termWaitMs: 22 },
      timers,
    });
    const end = child.close();
    for (const wait of waits) await timers.fire(wait);
    return end;
  }

  test('[PT-3.4-02] a program that ends with its stdin gets no signal', async () => {
    const { exitCode, signal } = await stop({ onSigterm: 99 });
    assert.deepEqual([exitCode, signal], [0, null]);
  });

  test('[PT-3.4-03] a program that cleans up for a while finishes unsignalled', async () => {
    const { exitCode, signal } = await stop({
      onSigterm: 99,
      onStdinEnd: { code: 4, afterMs: 100 },
    });
    assert.deepEqual([exitCode, signal], [4, null]);
  });

  test('[PT-3.4-04] a program that ignores the end of stdin gets SIGTERM after the wait', async () => {
    const { exitCode, signal } = await stop({ onSigterm: 99, onStdinEnd: 'ignore' }, 11);
    assert.deepEqual([exitCode, signal], [99, null]);
  });

  test('[PT-3.4-05] a program that ignores both is killed', async () => {
    const { exitCode, signal } = await stop({ onSigterm: 'ignore', onStdinEnd: 'ignore' }, 11, 22);
    assert.deepEqual([exitCode, signal], [null, 'SIGKILL']);
  });
});
