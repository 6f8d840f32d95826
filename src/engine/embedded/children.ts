/** Transports that run as programs of their own (`exec`): kept running, and heard in the log. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { LogLevel } from '../../config/log-values.ts';
import { expandPath } from '../../config/node.ts';
import type { Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { Child, MethodOf } from '../../parent/launch.ts';
import { type StartOptions, startTransports } from '../../parent/start.ts';
import type { Supervisor } from '../../parent/supervise.ts';
import type { Timers } from '../../time.ts';
import type { LaunchConfiguration } from '../../pt/launch-environment.ts';
import type { LogSeverity } from '../../pt/messages.ts';
import type { Log } from '../log.ts';

/** What children are started with. */
export interface ChildHost {
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly timers: Timers;
  readonly rng: Rng;
  /** Aborted when nothing is to be started any more. */
  readonly stopping: AbortSignal;
}

/** `startTransports`, which tells the daemon's log, and of a program that is not there where it was looked for. */
export async function startChild<L extends LaunchConfiguration>(
  { log, env, home, timers, rng, stopping }: ChildHost,
  options: Pick<StartOptions<L>, 'command' | 'configuration' | 'onRunning'>,
): Promise<Supervisor<Child<MethodOf<L>>>> {
  const [program, ...args] = options.command;
  await checkProgram(program, home);
  return startTransports({
    ...options,
    command: [expandPath(program, home), ...args],
    env,
    timers,
    rng,
    signal: stopping,
    onLog: (severity, text) => log.write(levels[severity], text),
  });
}

/**
 * Looks whether a program is there, and starts nothing.
 *
 * @throws PosternError `ERR_PARENT_SPAWN`
 */
export async function checkProgram(path: string, home: string): Promise<void> {
  const meant = expandPath(path, home);
  try {
    await access(meant, constants.X_OK);
    if ((await stat(meant)).isFile()) return;
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const text = `${path} cannot be started (${errno})${explainPath(path, meant)}`;
    throw new PosternError('ERR_PARENT_SPAWN', text, {
      cause: error,
    });
  }
  throw new PosternError('ERR_PARENT_SPAWN', `${path} is no file`);
}

/** Where a program was looked for, if that is not plain. There is no search path, which would be a risk. */
function explainPath(path: string, meant: string): string {
  if (isAbsolute(path)) return '';
  return path.includes('/')
    ? `: the path means ${meant}`
    : ': it is looked for where the daemon was started, and nowhere else; write its whole path, as `command -v` tells it';
}

const levels: Readonly<Record<LogSeverity, LogLevel>> = {
  error: 'err',
  warning: 'warn',
  notice: 'notice',
  info: 'info',
  debug: 'debug',
};
