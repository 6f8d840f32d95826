/** Transports that run as programs of their own, `exec`: kept running, their words in the log. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import type { LogLevel } from '../../config/log-values.ts';
import type { Rng } from '../../crypto/rng.ts';
import { PosternError, describeError } from '../../errors.ts';
import { type Child, type ChildEvent, launch, type MethodOf } from '../../parent/launch.ts';
import { supervise, type Supervisor } from '../../parent/supervise.ts';
import { hurriedStopWaits } from '../../parent/terminate.ts';
import type { Timers } from '../../time.ts';
import type { LaunchConfiguration } from '../../pt/launch-environment.ts';
import type { LogSeverity } from '../../pt/messages.ts';
import type { DaemonLog } from '../log.ts';

/** What children are started with. */
export interface ChildHost {
  readonly log: DaemonLog;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly timers: Timers;
  readonly rng: Rng;
}

/**
 * Starts a program and waits until it is ready; from then on it is started again when it ends.
 *
 * @throws PosternError `ERR_PARENT_*` when the first start fails, or lacks one of the transports
 */
export async function startChild<L extends LaunchConfiguration>(
  { log, env, timers, rng }: ChildHost,
  command: readonly [string, ...string[]],
  configuration: L,
  onRunning: (child: Child<MethodOf<L>>) => void = () => {},
): Promise<Supervisor<Child<MethodOf<L>>>> {
  const name = command[0].replace(/^.*\//, '');
  let isReady = false;
  let refuse: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_resolve, reject) => (refuse = reject));
  const supervisor = supervise<Child<MethodOf<L>>>({
    timers,
    rng,
    start: async (signal) => {
      const child = await launch({
        command,
        configuration,
        env,
        signal,
        stopWaits: hurriedStopWaits,
        onEvent: (event) => tell(log, name, event),
      });
      const lost = [...child.failures.keys(), ...child.missing];
      if (lost.length === 0) return child;
      await child.close();
      throw lostTransport(child, lost[0]!);
    },
    onEvent(event) {
      if (event.type === 'running') {
        log.write('notice', `${name} runs as process ${event.child.pid}`);
        onRunning(event.child);
      } else if (!isReady) {
        refuse(event.error);
      } else if (event.type === 'waiting') {
        const seconds = (event.delayMs / 1000).toFixed(1);
        log.write('warn', `${name}: ${describeError(event.error)} Again in ${seconds} s.`);
      } else {
        log.write('err', `${name} is given up: ${describeError(event.error)}`);
      }
    },
  });
  try {
    await Promise.race([supervisor.child(), failed]);
    isReady = true;
    return supervisor;
  } catch (error) {
    await supervisor.close();
    throw error;
  }
}

/**
 * Looks whether a program is there, and starts nothing.
 *
 * @throws PosternError `ERR_PARENT_SPAWN`
 */
export async function checkProgram(path: string): Promise<void> {
  try {
    await access(path, constants.X_OK);
    if ((await stat(path)).isFile()) return;
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError('ERR_PARENT_SPAWN', `${path} cannot be started (${errno})`, {
      cause: error,
    });
  }
  throw new PosternError('ERR_PARENT_SPAWN', `${path} is no file`);
}

function lostTransport<M>({ failures }: Child<M>, transport: string): PosternError {
  const reason = failures.get(transport) ?? 'the program does not know it';
  return new PosternError('ERR_PARENT_TRANSPORT', `transport ${transport}: ${reason}`);
}

function tell(log: DaemonLog, name: string, event: ChildEvent): void {
  if (event.type === 'stderr') log.write('info', `${name}: ${event.line}`);
  else if (event.type === 'log') {
    log.write(levels[event.message.severity], `${name}: ${event.message.text}`);
  }
}

const levels: Readonly<Record<LogSeverity, LogLevel>> = {
  error: 'err',
  warning: 'warn',
  notice: 'notice',
  info: 'info',
  debug: 'debug',
};
