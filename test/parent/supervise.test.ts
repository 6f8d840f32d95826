import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { ChildError, type ChildEnd } from '../../src/parent/child-error.ts';
import type { Child } from '../../src/parent/launch.ts';
import { supervise, type Supervisor, type SupervisorEvent } from '../../src/parent/supervise.ts';
import { seededRng } from '../support/rng.ts';
import { HandTimers } from '../support/hand-timers.ts';

const end: ChildEnd = {
  wasRequested: false,
  stage: 'ready',
  exitCode: 3,
  signal: null,
  stderrLines: ['panic'],
};

/** A child without a process, which dies when told to. */
class StageChild implements Child<never> {
  readonly pid = 1;
  readonly methods = new Map<string, never>();
  readonly failures = new Map<string, string>();
  readonly missing: readonly string[] = [];
  die!: (end: ChildEnd) => void;
  readonly closed = new Promise<ChildEnd>((resolve) => (this.die = resolve));

  close(): Promise<ChildEnd> {
    this.die({ ...end, wasRequested: true, exitCode: 0 });
    return this.closed;
  }

  abort(): void {
    void this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A supervision in which every start does what `script` says: a child, or an error. */
class Stage {
  readonly timers = new HandTimers();
  readonly events: SupervisorEvent<Child<never>>[] = [];
  readonly supervisor: Supervisor<Child<never>>;
  starts = 0;

  constructor(
    script: (start: number) => StageChild | Error,
    options: { maxFailures?: number } = {},
  ) {
    this.supervisor = supervise<Child<never>>({
      start: async () => {
        this.starts += 1;
        const outcome = script(this.starts);
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
      firstDelayMs: 100,
      maxDelayMs: 1000,
      stableMs: 7_777,
      timers: this.timers,
      rng: seededRng('supervise'),
      onEvent: (event) => this.events.push(event),
      ...options,
    });
  }

  /** The delay of the latest wait, once the supervision waits for the nth time. */
  async waiting(nth: number): Promise<number> {
    for (;;) {
      const waits = this.events.flatMap((event) =>
        event.type === 'waiting' ? [event.delayMs] : [],
      );
      if (waits.length >= nth && this.timers.delays.includes(waits.at(-1)!)) return waits.at(-1)!;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const crash = new ChildError('ERR_PARENT_START_ENDED', 'stdout ended', {
  ...end,
  stage: 'starting',
});

test('a crashing program is started again, later each time, within bounds', async () => {
  const stage = new Stage(() => crash, { maxFailures: 7 });
  for (const [index, ceiling] of [100, 200, 400, 800, 1000, 1000].entries()) {
    const delay = await stage.waiting(index + 1);
    assert.ok(delay >= ceiling / 2 && delay <= ceiling, `${delay} for at most ${ceiling}`);
    await stage.timers.fire(delay);
  }
  assert.equal(await stage.supervisor.closed, crash);
  assert.equal(stage.starts, 7);
});

test('it gives up after so many failures in a row, and says how the last one ended', async () => {
  const stage = new Stage(() => crash);
  for (let failures = 1; failures < limits.childFailures; failures += 1) {
    await stage.timers.fire(await stage.waiting(failures));
  }
  const error = await stage.supervisor.closed;
  assert.ok(error instanceof ChildError);
  assert.deepEqual(
    [error.end.exitCode, error.end.stage, error.end.stderrLines],
    [3, 'starting', ['panic']],
  );
  assert.deepEqual(stage.events.at(-1), { type: 'gaveUp', error });
  assert.equal(stage.starts, limits.childFailures);
  await assert.rejects(stage.supervisor.child(), (reason) => reason === error);
});

test('a fault that no retry can cure ends it at once', async () => {
  for (const code of [
    'ERR_PARENT_SPAWN',
    'ERR_PARENT_CONFIGURATION',
    'ERR_PARENT_VERSION',
  ] as const) {
    const error = new PosternError(code, 'x');
    const stage = new Stage(() => error);
    assert.equal(await stage.supervisor.closed, error);
    assert.equal(stage.starts, 1);
  }
});

test('a child that ran long enough was healthy: the count begins anew', async () => {
  const children: StageChild[] = [];
  const stage = new Stage(
    () => {
      children.push(new StageChild());
      return children.at(-1)!;
    },
    { maxFailures: 2 },
  );
  for (let life = 1; life <= 5; life += 1) {
    await stage.timers.fire(7_777);
    children.at(-1)!.die(end);
    const delay = await stage.waiting(life);
    assert.ok(delay <= 100, 'the first delay again');
    await stage.timers.fire(delay);
  }
  // The sixth does not last: with the healthy one's end it makes two failures in a row.
  await stage.supervisor.child();
  children.at(-1)!.die(end);
  const error = await stage.supervisor.closed;
  assert.ok(error instanceof ChildError && error.code === 'ERR_PARENT_CRASHED');
  assert.match(error.message, /exit code 3, at stage ready; last on stderr: panic/);
});

test('whoever asks for the child gets the running one, or waits for the next', async () => {
  const children = [new StageChild(), new StageChild()];
  const stage = new Stage((start) => children[start - 1]!);
  const early = stage.supervisor.child();
  assert.equal(await early, children[0]);
  assert.equal(await stage.supervisor.child(), children[0]);
  children[0]!.die(end);
  const delay = await stage.waiting(1);
  const later = stage.supervisor.child();
  await stage.timers.fire(delay);
  assert.equal(await later, children[1]);
  await stage.supervisor.close();
});

test('close stops the child, the wait and the start, and those who wait hear of it', async () => {
  const child = new StageChild();
  const running = new Stage(() => child);
  await running.supervisor.child();
  await running.supervisor.close();
  await running.supervisor[Symbol.asyncDispose]();
  assert.equal((await child.closed).wasRequested, true);
  assert.equal(await running.supervisor.closed, undefined);
  assert.deepEqual(running.timers.delays, []);
  await assert.rejects(running.supervisor.child(), { code: 'ERR_PARENT_CLOSED' });

  const waiting = new Stage(() => crash);
  await waiting.waiting(1);
  const asked = waiting.supervisor.child();
  await Promise.all([
    waiting.supervisor.close(),
    assert.rejects(asked, { code: 'ERR_PARENT_CLOSED' }),
  ]);
  assert.deepEqual(waiting.timers.delays, []);
  assert.equal(waiting.starts, 1);

  let signalled = false;
  const starting = supervise<Child<never>>({
    start: (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          signalled = true;
          reject(signal.reason as Error);
        });
      }),
    timers: new HandTimers(),
  });
  await starting.close();
  assert.ok(signalled);
});

test('whoever hears of it and throws keeps nobody waiting', async () => {
  const warnings: string[] = [];
  const warn = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', warn);
  const timers = new HandTimers();
  const supervisor = supervise<Child<never>>({
    start: async () => new StageChild(),
    timers,
    onEvent: () => {
      throw new Error('a defect of the listener');
    },
  });
  const child = (await supervisor.child()) as StageChild;
  child.die(end);
  // The wait for the next start, and no longer the one that makes a child a healthy one.
  while (timers.delays.length !== 1 || timers.delays[0] === 60_000) {
    await new Promise(setImmediate);
  }
  await timers.fire(timers.delays[0]!);
  assert.notEqual(await supervisor.child(), child);
  await supervisor.close();
  while (warnings.length < 3) await new Promise(setImmediate);
  process.off('warning', warn);
  assert.match(warnings[0]!, /a defect of the listener/);
});

test('abort kills the child, and the supervision ends as after close', async () => {
  let aborted = 0;
  class Stubborn extends StageChild {
    override close(): Promise<ChildEnd> {
      return this.closed; // it does not listen
    }

    override abort(): void {
      aborted += 1;
      this.die(end);
    }
  }
  const stage = new Stage(() => new Stubborn());
  await stage.supervisor.child();
  stage.supervisor.abort();
  assert.equal(await stage.supervisor.closed, undefined);
  assert.equal(aborted, 1);
});
