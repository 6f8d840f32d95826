/** `postern` without a verb, started by a parent: a pluggable transport proxy. */
import { describeError } from '../errors.ts';
import { logSeverities, type LogSeverity } from '../pt/messages.ts';
import { runManagedProxy } from '../proxy/run.ts';
import { unawaited } from '../unawaited.ts';
import { builtinTransports } from '../transports/registry.ts';
import type { CommandContext } from './context.ts';
import type { ExecLine } from './exec-line.ts';
import { openMetrics, parseMetricsAddress } from './metrics.ts';
import { UsageError } from './report-error.ts';
import { describeProcess } from './status.ts';

export function run(context: CommandContext, options: ExecLine): Promise<number> {
  const { env, stdin, stdout, stop, parentPid, onSignal } = context;
  const metricsEndpoint = parseMetricsAddress(options.metrics);
  const logFile = options.logFile ?? (options.enableLogging && 'postern.log');
  return runManagedProxy({
    env,
    stdin,
    stdout,
    drain: stop.drain,
    now: stop.now,
    onEndNow: (why) => stop.endNow(why),
    parentPid,
    registry: builtinTransports,
    onStatusRequest(log) {
      const ignore = onSignal('SIGUSR1', () => log(describeProcess()));
      const metrics = openMetrics(metricsEndpoint, log).catch((error: unknown) => {
        // A torrc with both roles starts us twice, and one of the two has it.
        log(`no figures for Prometheus: ${describeError(error)}`);
      });
      return () => {
        ignore();
        unawaited(async () => (await metrics)?.abort());
      };
    },
    ...(options.logLevel !== undefined && { logLevel: parseLogLevel(options.logLevel) }),
    ...(logFile !== undefined && { logFile }),
    unsafeLogging: options.unsafeLogging ?? false,
    warnings: describeUnused(options),
  });
}

/** What was written on the command line and changes nothing, as with obfs4proxy; here it is said. */
function describeUnused({ ignored, distBias }: ExecLine): readonly string[] {
  const words = ignored.map((word) => word.slice(0, 40)).join(' ');
  return [
    ...(ignored.length > 0 ? [`ignored on the command line: ${words}`] : []),
    ...(distBias ? ['--obfs4-distBias changes nothing: lengths are drawn as without it'] : []),
  ];
}

/** The specification's severities, and obfs4proxy's names for them (`WARN`, in upper case). */
function parseLogLevel(text: string): LogSeverity {
  const name = text.toLowerCase();
  const level = name === 'warn' ? 'warning' : logSeverities.find((severity) => severity === name);
  if (level !== undefined) return level;
  throw new UsageError(`--log-level takes one of ${logSeverities.join(', ')}`);
}
