/** The bridge's transports: where they listen, and what clients need to reach them. */
import type { Duplex } from 'node:stream';
import type { OptionValues } from '../../config/options.ts';
import { openStateDirectory } from '../../state/state-directory.ts';
import { type RunningTransport, startTransportServer } from '../../net/transport-server.ts';
import type { ExtOrListener } from '../../parent/extor-server.ts';
import type { Endpoint } from '../../pt/address.ts';
import { type BridgeLine, formatBridgeLine } from '../../pt/bridge-line.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import type { RequestedServer } from '../../pt/proxy-environment.ts';
import { describeError } from '../../errors.ts';
import type { Environment } from '../../transports/contract.ts';
import type { TransportRegistry } from '../../transports/registry.ts';
import { unawaited } from '../../unawaited.ts';
import { transportStateDirectory } from '../data-directory.ts';
import { type ChildHost, startChild } from './children.ts';

/** What server transports are given. */
export interface ServerTransportsOptions extends ChildHost {
  readonly registry: TransportRegistry;
  readonly environment: Environment;
  /** Takes the undisguised connection of a client that has proven itself. */
  readonly onConnection: (stream: Duplex) => void;
}

/** Transports that take connections. */
export interface RunningTransports {
  /** What clients need; a program that was started again may say something else. */
  readonly bridgeLines: () => readonly BridgeLine[];
  /** Takes no new connections where that can be asked for; a program cannot be asked. */
  stopListening(): Promise<void>;
  /**
   * Lets them go. Connections that stand go on, unless a program carries them; it resolves when the last
   * one has ended.
   */
  close(): Promise<void>;
  /** Ends the connections that stand. */
  abort(): void;
}

/** Transports of one line, `builtin` or `exec`, with what other lines say about them. */
export interface ServerPlugin {
  readonly command?: readonly [string, ...string[]];
  readonly transports: readonly RequestedServer[];
}

/** What the configuration asks for. */
export function serverPlugins(values: OptionValues): readonly ServerPlugin[] {
  return values.ServerTransportPlugin.map(({ command, transports }) => ({
    ...(command !== undefined && { command }),
    transports: transports.map((name) => {
      const listen = values.ServerTransportListenAddr.find(({ transport }) => transport === name);
      const given = values.ServerTransportOptions.find(({ transport }) => transport === name);
      return {
        name,
        options: given?.options ?? [],
        ...(listen !== undefined && { bindAddress: listen.endpoint }),
      };
    }),
  }));
}

/**
 * Runs transports in this process.
 *
 * @throws PosternError `ERR_TRANSPORT_*`, `ERR_LISTEN_*`
 */
export async function openBuiltin(
  { transports }: ServerPlugin,
  values: OptionValues,
  { registry, environment, log, home, onConnection }: ServerTransportsOptions,
): Promise<RunningTransports> {
  const state = openStateDirectory(transportStateDirectory(values, home));
  const open: RunningTransport[] = [];
  const lines: BridgeLine[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(open.map((running) => running.close()));
    await state.close();
  };
  const abort = (): void => {
    for (const running of open) running.abort();
  };
  try {
    for (const { name, bindAddress = ANY_ADDRESS, options } of transports) {
      const transport = registry.get(name);
      if (transport.warning !== undefined) log.write('warn', `${name}: ${transport.warning}`);
      const notify = (notice: string): void => log.write('notice', `${name}: ${notice}`);
      const running = await startTransportServer({
        transport,
        endpoint: bindAddress,
        options,
        environment: { ...environment, state, notify },
        onConnection,
        // A probe or a scan, most of the time.
        onFailedHandshake: (error) => log.write('info', `${name}: ${describeError(error)}`),
        onFault: (error) => log.write('err', `${name}: ${describeError(error)}`),
      });
      open.push(running);
      lines.push(bridgeLine(name, running.endpoint, running.clientArguments));
    }
  } catch (error) {
    abort();
    await close();
    throw error;
  }
  return {
    bridgeLines: () => lines,
    stopListening: async () => open.forEach((running) => unawaited(() => running.close())),
    close,
    abort,
  };
}

/**
 * Runs transports in a program, which hands connections on to an Extended ORPort.
 *
 * @throws PosternError `ERR_PARENT_*`
 */
export async function openProgram(
  { transports, command }: ServerPlugin,
  values: OptionValues,
  { endpoint, cookieFile }: ExtOrListener,
  options: ServerTransportsOptions,
): Promise<RunningTransports> {
  let lines: readonly BridgeLine[] = [];
  const supervisor = await startChild(
    options,
    command!,
    {
      role: 'server',
      transports,
      stateLocation: transportStateDirectory(values, options.home),
      extendedOrPort: { endpoint, cookieFile },
    },
    ({ methods }) => {
      lines = [...methods].map(([name, method]) => bridgeLine(name, method.endpoint, method.args));
    },
  );
  return {
    bridgeLines: () => lines,
    stopListening: async () => {},
    close: () => supervisor.close(),
    abort() {},
  };
}

function bridgeLine(transport: string, endpoint: Endpoint, args: KeyValues): BridgeLine {
  return { transport, endpoint, args };
}

/** The lines as text, for the operator's file. */
export function formatBridgeLines(lines: readonly BridgeLine[]): string {
  return lines.map((line) => `Bridge ${formatBridgeLine(line)}\n`).join('');
}

/** A bridge is to be reached from outside, and the port is the system's choice. */
const ANY_ADDRESS: Endpoint = { host: '0.0.0.0', port: 0 };
