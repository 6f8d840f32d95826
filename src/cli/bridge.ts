/** `postern bridge`: a server transport without a parent, which forwards to one place. */
import { resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { slowSecretboxNotice } from '../crypto/secretbox.ts';
import { listen, type Listening } from '../index.ts';
import { watchDescriptors } from '../net/descriptors.ts';
import type { Listener } from '../net/listener.ts';
import { createDirectDialer } from '../net/direct-dialer.ts';
import { type Endpoint, formatEndpoint, isUnspecified } from '../pt/address.ts';
import type { KeyValues } from '../pt/key-value.ts';
import { relay } from '../net/relay.ts';
import { type DirectoryLock, lockDirectory } from '../state/directory-lock.ts';
import { checkServerOptions } from '../transports/argument-names.ts';
import { builtinTransports } from '../transports/registry.ts';
import {
  parseForwardTarget,
  parseListenAddress,
  parseOptions,
  parsePublicAddresses,
} from './arguments.ts';
import { type CommandContext, ExitCode, say } from './context.ts';
import { defaultStateDirectory } from './default-state.ts';
import { createFailureLog } from './failure-log.ts';
import { openMetrics, parseMetricsAddress } from './metrics.ts';
import { reportError } from './report-error.ts';
import { untilAborted } from './until-aborted.ts';

/** The options of `postern bridge`. */
export interface BridgeOptions {
  readonly listen: string;
  readonly forward: string;
  readonly transport: string;
  readonly option?: readonly string[];
  readonly url?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly site?: string;
  readonly state?: string;
  readonly public?: readonly string[];
  readonly metrics?: string;
}

/** Options of the transport that have an option of their own here. */
function webOptions({ url, tlsCert, tlsKey, site }: BridgeOptions): KeyValues {
  const given = { url, 'tls-cert': tlsCert, 'tls-key': tlsKey, site };
  return Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
}

export async function run(context: CommandContext, options: BridgeOptions): Promise<number> {
  const endpoint = parseListenAddress('--listen', options.listen);
  const target = parseForwardTarget('--forward', options.forward);
  const transportOptions = [...parseOptions(options.option ?? []), ...webOptions(options)];
  const publicAddresses = parsePublicAddresses(options.public ?? []);
  const metricsEndpoint = parseMetricsAddress(options.metrics);
  const stateDir =
    options.state ?? defaultStateDirectory(context, 'bridge', options.transport, endpoint.port);

  let bridge: Listening;
  let lock: DirectoryLock | undefined;
  let metrics: Listener | undefined;
  try {
    checkServerOptions(builtinTransports.get(options.transport), transportOptions);
    metrics = await openMetrics(metricsEndpoint, (line) => say(context, line));
    lock = await lockDirectory(resolve(stateDir));
    bridge = await listen(
      {
        transport: options.transport,
        ...endpoint,
        stateDir,
        options: transportOptions,
        publicAddresses,
        onNotice: (notice) => say(context, `Note: ${notice}`),
      },
      createForwarder(context, options.forward, target),
    );
  } catch (error) {
    metrics?.abort();
    await lock?.release();
    return reportError(context, error, `no bridge on ${options.listen}`);
  }

  announce(context, options, bridge);
  say(
    context,
    `The bridge runs and forwards to ${options.forward}; its identity is in ${stateDir}`,
  );
  say(context, 'Clients use the line above: postern client BRIDGE-LINE --socks 127.0.0.1:1080');
  watchDescriptors((text) => say(context, `Warning: ${text}.`), context.stop.now);
  await untilAborted(context.stop.drain);
  say(
    context,
    context.stop.now.aborted
      ? 'Ending now.'
      : 'Ending: no new connections, those that stand may finish. Ctrl-C again ends them.',
  );
  const closed = bridge.close();
  context.stop.now.addEventListener('abort', () => bridge.abort());
  if (context.stop.now.aborted) bridge.abort();
  await closed;
  metrics?.abort();
  await lock.release();
  return ExitCode.ok;
}

/** Takes the connections of clients to the one target. */
function createForwarder(
  context: CommandContext,
  name: string,
  target: Endpoint,
): (stream: Duplex) => Promise<void> {
  const dial = createDirectDialer();
  const failures = createFailureLog(context);
  return async (stream) => {
    try {
      const forwarded = await dial(target, { signal: context.stop.now });
      await relay(stream, forwarded);
    } catch (error) {
      failures.add(`cannot forward to ${name}`, error);
      stream.destroy();
    }
  };
}

/** Prints the bridge lines, and says what their reader should know. */
function announce(
  context: CommandContext,
  options: BridgeOptions,
  { bridgeLines, address }: Listening,
): void {
  context.stdout.write(bridgeLines.map((line) => `${line}\n`).join(''));
  const { warning } = builtinTransports.get(options.transport);
  if (warning !== undefined) say(context, `Warning: ${options.transport}: ${warning}`);
  if (slowSecretboxNotice !== undefined) say(context, `Note: ${slowSecretboxNotice}`);
  const { host } = address;
  const isInLine = bridgeLines.some((line) => line.includes(formatEndpoint(address)));
  if (!isInLine || !isUnspecified(host) || options.public !== undefined) return;
  const which =
    host === '::' ? '0.0.0.0 and [::] in the bridge lines' : `${host} in the bridge line`;
  say(context, `Replace ${which} by this machine's public address, or give it: --public ADDRESS`);
}
