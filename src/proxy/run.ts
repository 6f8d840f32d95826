/** The PT program: workflow 1 to 7 of the specification, in order (PT 3). */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { systemClock, type Clock } from '../time.ts';
import { systemRng, type Rng } from '../crypto/rng.ts';
import { LogLimiter } from '../log-limiter.ts';
import { slowSecretboxNotice } from '../crypto/secretbox.ts';
import { describeError, PosternError } from '../errors.ts';
import { watchDescriptors } from '../net/descriptors.ts';
import { listenTcp } from '../net/listener.ts';
import { openStateDirectory, type StateDirectory } from '../state/state-directory.ts';
import type { LogSeverity } from '../pt/messages.ts';
import {
  parseProxyEnvironment,
  type EnvironmentVariables,
  type ProxyConfiguration,
} from '../pt/proxy-environment.ts';
import type { TransportRegistry } from '../transports/registry.ts';
import { startClient } from './client.ts';
import { openDestination } from './destination.ts';
import { version } from '../version.ts';
import { watchEnds, type EndSources, type Ends } from './ends.ts';
import type { LogQueue } from './log-queue.ts';
import { createLogFile, createLogger, isPlainFileName } from './logger.ts';
import { Reporter } from './reporter.ts';
import type { RoleContext, RunningProxy } from './role.ts';
import { startServer } from './server.ts';
import { stopRequestsOfProcess } from './stop-requests.ts';

/** All that the program would otherwise take from its process, handed in. */
interface World extends Pick<EndSources, 'drain' | 'now' | 'onEndNow' | 'parentPid'> {
  readonly env: EnvironmentVariables;
  readonly stdin: Readable;
  readonly stdout: Writable;
}

/**
 * What a managed proxy is given. What is left out is taken from the process: its environment,
 * stdin, stdout, parent, and the signals that tell it to end (SIGINT drains, SIGTERM ends at once).
 */
export interface ManagedProxyOptions extends Partial<World> {
  /** The transports that a parent may ask for. */
  readonly registry: TransportRegistry;
  /** The lowest severity that is logged; `notice` when absent. */
  readonly logLevel?: LogSeverity;
  /** The name of a log file in the state directory; none when absent. */
  readonly logFile?: string;
  /** Whether addresses stay in log lines. */
  readonly unsafeLogging?: boolean;
  /** What is logged as warnings at the start. */
  readonly warnings?: readonly string[];
  /** Is given a way to log a line whenever somebody asks for the status. @returns ends that */
  readonly onStatusRequest?: (log: (line: string) => void) => () => void;
  readonly rng?: Rng;
  readonly clock?: Clock;
  /** How client transports listen. */
  readonly listen?: typeof listenTcp;
}

/**
 * Runs a managed proxy from its environment to its end. When it resolves, every line that the parent reads has
 * been written, and no socket, timer or file of its own keeps the process alive. Where the signals are left to
 * it, so is the last resort: two seconds after the process was told to end it is gone, whatever hangs.
 *
 * @example
 *     process.exitCode = await runManagedProxy({ registry: new TransportRegistry([mine]) });
 * @returns the exit code: 0 after a graceful end, 1 after VERSION-ERROR, ENV-ERROR or PROXY-ERROR
 */
export async function runManagedProxy(given: ManagedProxyOptions): Promise<number> {
  const { env, stdin, stdout } = process;
  const options = { env, stdin, stdout, parentPid: () => process.ppid, ...given };
  const { drain, now } = options;
  if (drain !== undefined && now !== undefined) return runInWorld({ ...options, drain, now });
  const stop = stopRequestsOfProcess();
  const exitCode = await runInWorld({ onEndNow: (why) => stop.endNow(why), ...stop, ...options });
  stop.over();
  return exitCode;
}

type Options = ManagedProxyOptions & World;

async function runInWorld(options: Options): Promise<number> {
  const reporter = new Reporter(options.stdout);

  // Steps 2 to 4.
  const { messages, configuration } = parseProxyEnvironment(options.env);
  for (const message of messages) {
    if (message.kind !== 'LOG') reporter.report(message);
  }
  if (configuration === undefined) {
    await reporter.flush(options.now);
    return 1;
  }

  const ends = watchEnds({
    ...options,
    exitOnStdinClose: configuration.exitOnStdinClose,
    stdoutBroken: reporter.broken,
  });
  try {
    return await run(options, configuration, reporter, ends);
  } finally {
    ends[Symbol.dispose]();
  }
}

async function run(
  options: Options,
  configuration: ProxyConfiguration,
  reporter: Reporter,
  ends: Ends,
): Promise<number> {
  const { registry, rng = systemRng, clock = systemClock, listen = listenTcp } = options;
  const state = openStateDirectory(configuration.stateLocation);
  const limiter = new LogLimiter();
  const { logger, logFile } = openLog(options, reporter, state, clock, limiter);
  const context = { registry, transportContext: { rng, clock, state }, reporter, logger, listen };
  const finish = async (): Promise<void> => {
    limiter.flush();
    await logFile?.idle();
    await state.close();
    await reporter.flush(ends.now);
  };

  const names = configuration.transports.map((requested) =>
    typeof requested === 'string' ? requested : requested.name,
  );
  logger.notice(`postern-${version} as a ${configuration.role}, asked for ${names.join(', ')}`);
  for (const warning of options.warnings ?? []) logger.warning(warning);

  let proxy: RunningProxy;
  try {
    proxy = await startRole(configuration, context, state, options.logFile);
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    reporter.report({ kind: 'ENV-ERROR', text: describeError(error) });
    await finish();
    return 1;
  }
  if (slowSecretboxNotice !== undefined) logger.notice(slowSecretboxNotice);
  reporter.startLogging();
  const ignoreStatusRequests = options.onStatusRequest?.(logger.notice);
  watchDescriptors((text) => logger.warning(text), ends.now);

  // Step 6, until step 7.
  if (!ends.now.aborted && !ends.drain.aborted) {
    await Promise.race([once(ends.now, 'abort'), once(ends.drain, 'abort')]);
  }
  if (!ends.now.aborted) {
    logger.notice('no new connections from now on; ends when the last one has ended');
    await Promise.race([once(ends.now, 'abort'), proxy.drain()]);
    ends.endNow('the last connection ended');
  }
  ignoreStatusRequests?.();
  logger.notice(`ending: ${(ends.now.reason as Error).message}`);
  await proxy.close();
  await finish();
  return 0;
}

/** Step 5. @throws PosternError for what is still wrong with the environment */
async function startRole(
  configuration: ProxyConfiguration,
  context: RoleContext,
  state: StateDirectory,
  logFile: string | undefined,
): Promise<RunningProxy> {
  if (logFile !== undefined && !isPlainFileName(logFile)) {
    // PT 3.2.1 [PT-3.2.1-11]: nothing is written outside the state directory.
    throw new PosternError('ERR_PT_ENVIRONMENT', 'the log file must be a name without directories');
  }
  if (configuration.role === 'client') return startClient(configuration, context);
  const destination = await openDestination(configuration, context.transportContext.rng);
  return startServer(configuration, { ...context, state, destination });
}

function openLog(
  { logFile: file, logLevel = 'notice', unsafeLogging = false }: ManagedProxyOptions,
  reporter: Reporter,
  state: StateDirectory,
  clock: Clock,
  limiter: LogLimiter,
): { readonly logger: ReturnType<typeof createLogger>; readonly logFile?: LogQueue } {
  const logOptions = { level: logLevel, unsafe: unsafeLogging, limiter };
  const stdout = (entry: Parameters<Reporter['log']>[0]): void => reporter.log(entry);
  if (file === undefined || !isPlainFileName(file)) {
    return { logger: createLogger([stdout], logOptions) };
  }
  const toParent = createLogger([stdout], logOptions);
  const logFile = createLogFile(state, file, clock, (error) => {
    toParent.warning(`no log file from now on: ${describeError(error)}`);
  });
  const logger = createLogger([stdout, (entry) => logFile.push(entry)], logOptions);
  return { logger, logFile };
}
