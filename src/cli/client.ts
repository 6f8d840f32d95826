/** `postern client`: local connections go, disguised, to where a bridge forwards. */
import { resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { slowSecretboxNotice } from '../crypto/secretbox.ts';
import { PosternError } from '../errors.ts';
import {
  type Application,
  createApplication,
  listenSocks,
  serveApplication,
} from '../net/applications.ts';
import { watchDescriptors } from '../net/descriptors.ts';
import { type Listener, listenTcp } from '../net/listener.ts';
import { type Endpoint, formatEndpoint } from '../pt/address.ts';
import { type BridgeLine, parseBridgeLine } from '../pt/bridge-line.ts';
import { Connections } from '../proxy/connections.ts';
import { lockDirectory } from '../state/directory-lock.ts';
import { parseListenAddress } from './arguments.ts';
import { type CommandContext, ExitCode, say } from './context.ts';
import { defaultStateDirectory } from './default-state.ts';
import { createFailureLog, type FailureLog } from './failure-log.ts';
import { openMetrics, parseMetricsAddress } from './metrics.ts';
import { openOutlet, type Outlet } from './outlet.ts';
import { reportError, UsageError } from './report-error.ts';
import { untilAborted } from './until-aborted.ts';

/** The options of `postern client`. */
export interface ClientOptions {
  readonly bridgeLine: string;
  readonly socks?: string;
  readonly forwardFrom?: string;
  readonly pt?: string;
  readonly upstream?: string;
  readonly state?: string;
  readonly metrics?: string;
}

export async function run(context: CommandContext, options: ClientOptions): Promise<number> {
  const entrance = parseEntrance(options);
  const bridge = parseBridgeLine(options.bridgeLine);
  const metricsEndpoint = parseMetricsAddress(options.metrics);
  // Tickets count once: two clients with the same directory would both use the same one.
  const lock =
    options.state === undefined ? undefined : await lockDirectory(resolve(options.state));
  let metrics: Listener | undefined;
  try {
    metrics = await openMetrics(metricsEndpoint, (line) => say(context, line));
    return await serveBridge(context, options, entrance, bridge);
  } finally {
    metrics?.abort();
    await lock?.release();
  }
}

async function serveBridge(
  context: CommandContext,
  options: ClientOptions,
  entrance: Entrance,
  bridge: BridgeLine,
): Promise<number> {
  const failures = createFailureLog(context);
  const outlet = await openOutlet(context, bridge, {
    ...options,
    onNotice: (text) => failures.note(text),
    state: options.state ?? defaultState(context, bridge, entrance, options),
  });
  const connections = new Connections();
  let listener: Listener;
  try {
    listener = await openEntrance(context, entrance, bridge, outlet, connections, failures);
  } catch (error) {
    await outlet.close();
    return reportError(context, error, `cannot listen on ${entrance.text}`);
  }
  // Another program encrypts by itself.
  if (slowSecretboxNotice !== undefined && options.pt === undefined) {
    say(context, `Note: ${slowSecretboxNotice}`);
  }
  const clients = entrance.isSocks ? 'SOCKS' : 'TCP';
  say(context, `Listening on ${formatEndpoint(listener.endpoint)} for ${clients} clients.`);
  say(
    context,
    entrance.isSocks
      ? 'Whatever target they ask for, their connections go to where the bridge forwards.'
      : 'Their connections go to where the bridge forwards.',
  );
  say(context, 'The bridge is not tried yet: the first connection will tell whether it answers.');

  watchDescriptors((text) => say(context, `Warning: ${text}.`), context.stop.now);
  const lost = await Promise.race([untilAborted(context.stop.drain), outlet.lost]);
  if (lost === undefined && !context.stop.now.aborted) {
    say(
      context,
      'Ending: no new connections, those that stand may finish. Ctrl-C again ends them.',
    );
    await listener.close();
    await Promise.race([connections.drained(), untilAborted(context.stop.now), outlet.lost]);
  }
  context.stop.endNow(new Error('the last connection ended'));
  listener.abort();
  await outlet.close();
  return lost === undefined ? ExitCode.ok : reportError(context, lost.reason, lost.what);
}

/** Listens for applications, and takes each of them through the outlet. */
function openEntrance(
  context: CommandContext,
  entrance: Entrance,
  bridge: BridgeLine,
  outlet: Outlet,
  connections: Connections,
  failures: FailureLog,
): Promise<Listener> {
  let isReached = false;
  const dial = async (signal: AbortSignal): Promise<Duplex> => {
    const stream = await outlet.dial(signal);
    // Said for the first connection, and for the first one after a failure.
    if (!isReached) say(context, 'The bridge answers: a connection goes through it.');
    isReached = true;
    return stream;
  };
  const serve = (application: Application): Promise<unknown> =>
    connections.serve(() => serveApplication(application, ({ signal }) => dial(signal)));
  const onFailure = (error: unknown): void => {
    // An application that gave up waiting is no failure of the bridge.
    if (error instanceof PosternError && error.code === 'ERR_SOCKS_CLOSED') return;
    isReached = false;
    failures.add('cannot connect through the bridge', error);
  };
  return entrance.isSocks
    ? // This listener is for this machine alone and has no password; any is accepted.
      listenSocks(entrance.endpoint, { accept: () => {}, serve, onFailure })
    : listenTcp(
        entrance.endpoint,
        (socket) => serve(createApplication(socket, bridge.endpoint)),
        onFailure,
      );
}

/** None where the system chooses the port, and none for another program: it keeps its own state, for this run only. */
function defaultState(
  context: CommandContext,
  { transport }: BridgeLine,
  { endpoint }: Entrance,
  { pt }: ClientOptions,
): string | undefined {
  if (transport === undefined || endpoint.port === 0 || pt !== undefined) return undefined;
  return defaultStateDirectory(context, 'client', transport, endpoint.port);
}

interface Entrance {
  readonly isSocks: boolean;
  readonly endpoint: Endpoint;
  /** As it was typed. */
  readonly text: string;
}

function parseEntrance({ socks, forwardFrom }: ClientOptions): Entrance {
  if (socks !== undefined && forwardFrom === undefined) {
    return { isSocks: true, endpoint: parseListenAddress('--socks', socks), text: socks };
  }
  if (forwardFrom !== undefined && socks === undefined) {
    const endpoint = parseListenAddress('--forward-from', forwardFrom);
    return { isSocks: false, endpoint, text: forwardFrom };
  }
  throw new UsageError('one of --socks and --forward-from is needed, and only one');
}
