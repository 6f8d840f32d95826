/** Starts a program that must have certain transports, and keeps it running: what all our parents do. */
import { addAbortListener } from 'node:events';
import { PosternError, describeError } from '../errors.ts';
import type { LaunchConfiguration } from '../pt/launch-environment.ts';
import type { LogSeverity } from '../pt/messages.ts';
import { type Child, launch, type LaunchOptions, type MethodOf } from './launch.ts';
import { supervise, type SuperviseOptions, type Supervisor } from './supervise.ts';
import { hurriedStopWaits } from './terminate.ts';

/** What to start, and whom to tell. */
export interface StartOptions<L extends LaunchConfiguration>
  extends
    Omit<LaunchOptions<L>, 'stopWaits' | 'startTimeoutMs' | 'isDetached'>,
    Pick<SuperviseOptions<Child<MethodOf<L>>>, 'rng'> {
  /** It runs, or runs again, and may listen somewhere else. */
  readonly onRunning?: (child: Child<MethodOf<L>>) => void;
  /** Hears, as lines for a log, what the program says and what happens to it; its name comes first. */
  readonly onLog?: (severity: LogSeverity, text: string) => void;
}

/**
 * Starts a program and waits until it is ready; from then on it is started again when it ends.
 *
 * @throws PosternError `ERR_PARENT_*` when the first start fails, or lacks one of the transports; the
 *   signal's reason
 */
export async function startTransports<L extends LaunchConfiguration>(
  options: StartOptions<L>,
): Promise<Supervisor<Child<MethodOf<L>>>> {
  const { command, signal, onEvent, onRunning, onLog } = options;
  signal?.throwIfAborted();
  const name = command[0].replace(/^.*\//, '');
  const log = (severity: LogSeverity, text: string): void => onLog?.(severity, `${name}${text}`);
  let isReady = false;
  let refuse: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_resolve, reject) => (refuse = reject));
  const supervisor = supervise<Child<MethodOf<L>>>({
    ...options,
    start: async (stopped) =>
      withAllTransports(
        await launch({
          ...options,
          signal: stopped,
          stopWaits: hurriedStopWaits,
          isDetached: true,
          onEvent(event) {
            if (event.type === 'stderr') log('info', `: ${event.line}`);
            else if (event.type === 'log') log(event.message.severity, `: ${event.message.text}`);
            onEvent?.(event);
          },
        }),
      ),
    onEvent(event) {
      if (event.type === 'running') {
        log('notice', ` runs as process ${event.child.pid}`);
        onRunning?.(event.child);
      } else if (!isReady) {
        refuse(event.error);
      } else if (event.type === 'waiting') {
        const seconds = (event.delayMs / 1000).toFixed(1);
        log('warning', `: ${describeError(event.error)} Trying again in ${seconds} s.`);
      } else {
        log('error', ` is given up: ${describeError(event.error)}`);
      }
    },
  });
  using _ = signal && addAbortListener(signal, () => refuse(signal.reason));
  try {
    await Promise.race([supervisor.child(), failed]);
    isReady = true;
    return supervisor;
  } catch (error) {
    await supervisor.close();
    throw error;
  }
}

async function withAllTransports<M>(child: Child<M>): Promise<Child<M>> {
  const [lost] = [...child.failures.keys(), ...child.missing];
  if (lost === undefined) return child;
  await child.close();
  const reason = child.failures.get(lost) ?? 'the program does not know it';
  throw new PosternError('ERR_PARENT_TRANSPORT', `transport ${lost}: ${reason}`);
}
