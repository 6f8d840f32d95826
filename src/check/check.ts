import type { Duplex } from 'node:stream';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Dialer } from '../net/dialer.ts';
import { type BridgeLine, parseBridgeLine } from '../pt/bridge-line.ts';
import { warningOfUnknown } from '../transports/argument-names.ts';
import { builtinTransports, type TransportRegistry } from '../transports/registry.ts';
import { Course } from './course.ts';
import { nameOfProtocol } from './explain.ts';
import { judge, judgeTor, unreadable } from './judge.ts';
import { nothingSeen, type WireRecord } from './observed-transport.ts';
import type { BridgeReport } from './report.ts';
import { meetTor, type TorBehind } from './tor-bridge.ts';
import { type CheckProgram, Ways } from './ways.ts';

/** How bridges are checked. */
export interface CheckOptions {
  /** The transports to choose from; the built-in ones by default. */
  readonly transports?: TransportRegistry;
  /** The only way out, if given. */
  readonly dial?: Dialer;
  /** `socks5://`, `socks4a://` or `http://[user[:password]@]ip:port`: what everything goes through. */
  readonly upstreamProxy?: string;
  /** Another program that runs the transports. */
  readonly program?: CheckProgram;
  /** Whether to connect to the Tor that is expected behind each bridge. */
  readonly tor?: boolean;
  /** With `tor`: how many bytes of padding are sent to it; none by default. */
  readonly trafficBytes?: number;
  /** How far this machine's clock is ahead, if `measureClock` has found that out. */
  readonly clockAheadMs?: number;
  /** How long each step may take: 30 seconds by default. */
  readonly timeoutMs?: number;
  /** Gives the check up; the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Hears of each line as soon as its check has ended. */
  readonly onReport?: (report: BridgeReport) => void;
}

/**
 * Checks bridge lines, some at a time. `well` means that the transport's handshake succeeded; only `tor`
 * looks at what is behind the bridge.
 *
 * @example
 *     const [report] = await checkBridges(['obfs4 192.0.2.3:443 cert=… iat-mode=0']);
 *     if (report.outcome !== 'well') console.log(report.failure.message, report.failure.meanings);
 * @returns a report for every line, also one that cannot be read, in the order of the lines
 * @throws PosternError `ERR_PT_UPSTREAM_PROXY`; `signal.reason`
 */
export async function checkBridges(
  lines: readonly string[],
  options: CheckOptions = {},
): Promise<readonly BridgeReport[]> {
  const { transports = builtinTransports, signal } = options;
  const { dial, upstreamProxy, program } = options;
  const ways = new Ways({ transports, dial, upstreamProxy, program, signal });
  const reports: BridgeReport[] = [];
  const waiting = [...lines.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const report = await checkLine(next[1], next[0], ways, options);
      reports[report.index] = report;
      options.onReport?.(report);
    }
  };
  try {
    await Promise.all(Array.from({ length: limits.checksAtATime }, work));
    signal?.throwIfAborted();
    return reports;
  } finally {
    await ways.close();
  }
}

async function checkLine(
  line: string,
  index: number,
  ways: Ways,
  options: CheckOptions,
): Promise<BridgeReport> {
  const { transports = builtinTransports, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const course = new Course(timeoutMs, signal);
  const wire = nothingSeen();
  let bridge: BridgeLine;
  let reach: () => Promise<Duplex>;
  const notes: string[] = [];
  try {
    bridge = parseBridgeLine(line);
    reach = ways.prepare(bridge, course, wire);
    const known = options.program === undefined && transports.find(bridge.transport ?? '');
    const unknown = known && warningOfUnknown(known, 'client', bridge.args);
    if (unknown) notes.push(unknown);
  } catch (error) {
    if (!(error instanceof PosternError) || error.code === 'ERR_PT_UPSTREAM_PROXY') throw error;
    return { index, outcome: 'unreadable', steps: [], failure: unreadable(error), notes };
  }
  const { transport } = bridge;
  const common = { index, ...(transport !== undefined && { transport }), notes };
  try {
    const stream = await reach();
    stream.on('error', () => {});
    const behind =
      options.tor === true
        ? await meetTor(stream, bridge.endpoint.host, course, options.trafficBytes ?? 0)
        : undefined;
    if (behind === undefined) await lookBehind(stream, wire, notes);
    return {
      ...common,
      ...reportOf(course, wire),
      ...(behind === undefined ? { outcome: 'well' } : torReport(behind, bridge, notes)),
    };
  } catch (error) {
    signal?.throwIfAborted();
    const { clockAheadMs } = options;
    const failure = judge(error, { course, wire, transport, clockAheadMs });
    return { ...common, ...reportOf(course, wire), outcome: 'unwell', failure };
  } finally {
    course.end();
  }
}

const DEFAULT_TIMEOUT_MS = 30_000;

function reportOf(
  { steps }: Course,
  { roundTripMs }: WireRecord,
): Pick<BridgeReport, 'steps' | 'roundTripMs'> {
  return { steps, ...(roundTripMs !== undefined && { roundTripMs }) };
}

function torReport(
  behind: TorBehind,
  bridge: BridgeLine,
  notes: string[],
): Pick<BridgeReport, 'outcome' | 'tor' | 'failure'> {
  const { fingerprint } = bridge;
  const isNamed = fingerprint === undefined ? null : fingerprint === behind.identity.fingerprint;
  const clockDifferenceMs = behind.clockMs - Math.floor(Date.now() / 1000) * 1000;
  const tor = { isNamed, clockDifferenceMs };
  if (isNamed === null) notes.push('the line has no fingerprint: any Tor there would do');
  const failure = judgeTor(behind, isNamed);
  return failure === undefined ? { outcome: 'well', tor } : { outcome: 'unwell', tor, failure };
}

/** Waits a moment: a service that speaks first says what it is; a bridge whose target is down closes. */
async function lookBehind(stream: Duplex, wire: WireRecord, notes: string[]): Promise<void> {
  let first: Buffer | undefined;
  let wasClosed = false;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, BEHIND_MS + 2 * (wire.roundTripMs ?? 0));
    const over = (): void => {
      clearTimeout(timer);
      resolve();
    };
    stream.once('data', (chunk: Buffer) => {
      first = chunk;
      over();
    });
    stream.once('end', () => {
      wasClosed = true;
      over();
    });
    stream.once('close', () => {
      wasClosed = true;
      over();
    });
  });
  stream.destroy();
  if (first !== undefined) {
    const name = nameOfProtocol(first) ?? 'something unknown';
    notes.push(`behind the bridge ${name} speaks first`);
  } else if (wasClosed) {
    notes.push('the bridge closed behind the handshake: what it forwards to may not run');
  }
}

/** Longer than a bridge needs to find out that its target is down. */
const BEHIND_MS = 500;
