/** `postern check`: whether bridge lines work, and if not, what is in the way. */
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { checkBridges, type CheckOptions } from '../../check/check.ts';
import { measureClock } from '../../check/clock.ts';
import type { BridgeReport } from '../../check/report.ts';
import { describeError } from '../../errors.ts';
import { createDirectDialer } from '../../net/direct-dialer.ts';
import { createUpstreamDialer } from '../../net/upstream-dialer.ts';
import { formatEndpoint } from '../../pt/address.ts';
import { parseBridgeLine } from '../../pt/bridge-line.ts';
import { parseUpstreamProxy } from '../../pt/upstream-proxy.ts';
import { parseCommand } from '../arguments.ts';
import { type CommandContext, ExitCode, say } from '../context.ts';
import { createDisplay } from '../display.ts';
import { UsageError } from '../report-error.ts';
import { formatReports } from './table.ts';

/** The options of `postern check`, as they were typed. */
export interface CheckVerbOptions {
  readonly file?: string;
  readonly tor?: true;
  readonly traffic?: string;
  readonly pt?: string;
  readonly upstream?: string;
  readonly clockFrom?: string;
  readonly timeout: string;
  readonly showAddresses?: true;
  readonly json?: true;
}

export async function run(
  context: CommandContext,
  given: readonly string[],
  options: CheckVerbOptions,
): Promise<number> {
  const checkOptions = parseOptions(context, options);
  const clockUrl = parseClockUrl(options.clockFrom);
  const lines = await readLines(context, given, options.file);
  const { signal } = checkOptions;
  try {
    const clockAheadMs = clockUrl && (await askClock(context, clockUrl, options, signal));
    const reports = await checkWithProgress(context, lines, {
      ...checkOptions,
      ...(clockAheadMs !== undefined && { clockAheadMs }),
    });
    const rows = reports.map((report) => ({ ...report, ...address(lines, report, options) }));
    context.stdout.write(
      options.json
        ? `${JSON.stringify(rows.map(toJson), undefined, 2)}\n`
        : formatReports(rows, clockAheadMs),
    );
    if (reports.some(({ outcome }) => outcome === 'unreadable')) return ExitCode.usage;
    return reports.every(({ outcome }) => outcome === 'well') ? ExitCode.ok : ExitCode.failed;
  } catch (error) {
    if (signal.aborted) return ExitCode.ok;
    throw error;
  }
}

function parseOptions(
  context: CommandContext,
  options: CheckVerbOptions,
): CheckOptions & { readonly signal: AbortSignal } {
  const { tor, traffic, pt, upstream, timeout } = options;
  if (traffic !== undefined && tor !== true) {
    throw new UsageError('--traffic goes to the Tor behind the bridge: give --tor, too');
  }
  if (upstream !== undefined) parseUpstreamProxy(upstream);
  return {
    signal: context.stop.drain,
    timeoutMs: parseNumber('--timeout', timeout, 1, 3600) * 1000,
    ...(tor === true && { tor }),
    ...(traffic !== undefined && {
      trafficBytes: parseNumber('--traffic', traffic, 1, MAX_TRAFFIC_BYTES),
    }),
    ...(pt !== undefined && { program: { command: parseCommand('--pt', pt), env: context.env } }),
    ...(upstream !== undefined && { upstreamProxy: upstream }),
  };
}

/** It is sent in one piece. */
const MAX_TRAFFIC_BYTES = 64_000_000;

function parseNumber(option: string, typed: string, minimum: number, maximum: number): number {
  const value = Number(typed);
  if (/^[0-9]+$/.test(typed) && value >= minimum && value <= maximum) return value;
  throw new UsageError(`${option} takes a whole number from ${minimum} to ${maximum}`);
}

function parseClockUrl(typed: string | undefined): URL | undefined {
  if (typed === undefined) return undefined;
  if (/^https?:/i.test(typed) && URL.canParse(typed)) return new URL(typed);
  throw new UsageError('--clock-from takes the URL of a web server, like https://www.debian.org/');
}

/** By the same way as the bridges. */
async function askClock(
  context: CommandContext,
  url: URL,
  { upstream }: CheckVerbOptions,
  signal: AbortSignal,
): Promise<number | undefined> {
  const direct = createDirectDialer();
  const dial =
    upstream === undefined ? direct : createUpstreamDialer(parseUpstreamProxy(upstream), direct);
  try {
    return await measureClock(url, dial, { signal });
  } catch (error) {
    signal.throwIfAborted();
    say(context, `Warning: the clock is not compared: ${describeError(error)}`);
    return undefined;
  }
}

/** One line each; empty ones and comments are none. */
async function readLines(
  { stdin, stop }: CommandContext,
  given: readonly string[],
  file: string | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const line of given) {
    if (line === '-') lines.push(...linesOf(await readToEnd(stdin, stop.drain)));
    else lines.push(line);
  }
  if (file !== undefined) {
    const content = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new UsageError(`--file: it cannot be read (${error.code})`);
    });
    lines.push(...linesOf(content));
  }
  if (lines.length === 0) {
    throw new UsageError(
      'give a bridge line in quotes, or - to read them from stdin, or --file FILE',
    );
  }
  return lines;
}

function linesOf(content: string): readonly string[] {
  return content.split(/\r?\n/).filter((line) => /^\s*[^#\s]/.test(line));
}

async function readToEnd(stdin: Readable, signal: AbortSignal): Promise<string> {
  signal.addEventListener('abort', () => stdin.destroy());
  return text(stdin).catch(() => '');
}

async function checkWithProgress(
  context: CommandContext,
  lines: readonly string[],
  options: CheckOptions,
): Promise<readonly BridgeReport[]> {
  const display = createDisplay(context.stderr);
  let done = 0;
  const show = (): void => display.status(`${done} of ${lines.length} checked …`);
  show();
  try {
    return await checkBridges(lines, {
      ...options,
      onReport() {
        done += 1;
        show();
      },
    });
  } finally {
    display.clear();
  }
}

function address(
  lines: readonly string[],
  { index, outcome }: BridgeReport,
  { showAddresses }: CheckVerbOptions,
): { readonly address?: string } {
  if (showAddresses !== true || outcome === 'unreadable') return {};
  return { address: formatEndpoint(parseBridgeLine(lines[index]!).endpoint) };
}

/** Lines are counted from 1 on, as people do; times have a tenth of a millisecond. */
function toJson({ index, outcome, transport, ...rest }: BridgeReport): unknown {
  const round = (ms: number): number => Math.round(ms * 10) / 10;
  return {
    line: index + 1,
    outcome,
    transport,
    ...rest,
    steps: rest.steps.map(({ name, ms }) => ({ name, ms: round(ms) })),
    ...(rest.roundTripMs !== undefined && { roundTripMs: round(rest.roundTripMs) }),
  };
}
