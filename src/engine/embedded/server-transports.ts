/** The bridge's transports: where they listen, and what clients need to reach them. */
import type { OptionValues } from '../../config/options.ts';
import type { ExtOrListener } from '../../parent/extor-server.ts';
import { type BridgeLine, formatBridgeLine, publicLines } from '../../pt/bridge-line.ts';
import type { RequestedServer } from '../../pt/proxy-environment.ts';
import { transportStateDirectory } from '../data-directory.ts';
import { type ChildHost, startChild } from './children.ts';

/** Transports that take connections. */
export interface RunningTransports {
  /** What clients need; it may change while they run. */
  readonly bridgeLines: () => readonly BridgeLine[];
  /** Takes no new connections where that can be asked for; a program cannot be asked. */
  stopListening(): Promise<void>;
  /** Lets them go. Connections that stand go on, unless a program carries them. */
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
  const taken = new Set<string>();
  // Of two lines with the same transport the first carries it out.
  const plugins = values.ServerTransportPlugin.map(({ command, transports }) => ({
    command,
    transports: transports.filter((name) => !taken.has(name) && taken.add(name)),
  })).filter(({ transports }) => transports.length > 0);
  return plugins.map(({ command, transports }) => ({
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

/** What a program is given. */
export interface ProgramOptions extends ChildHost {
  /** It runs, or runs again, and may listen somewhere else. */
  readonly onMoved: () => void;
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
  options: ProgramOptions,
): Promise<RunningTransports> {
  let lines: readonly BridgeLine[] = [];
  const supervisor = await startChild(options, {
    command: command!,
    configuration: {
      role: 'server',
      transports,
      stateLocation: transportStateDirectory(values, options.home),
      extendedOrPort: { endpoint, cookieFile },
    },
    onRunning({ methods }) {
      lines = [...methods].map(([transport, { endpoint: at, args }]) => ({
        transport,
        endpoint: at,
        args,
      }));
      options.onMoved();
    },
  });
  return {
    bridgeLines: () => lines,
    stopListening: async () => {},
    close: () => supervisor.close(),
    abort() {},
  };
}

/** The lines as text, for the operator's file. */
export function formatBridgeLines(
  lines: readonly BridgeLine[],
  addresses: readonly string[],
): string {
  return lines
    .flatMap((line) => publicLines(line, addresses))
    .map((line) => `Bridge ${formatBridgeLine(line)}\n`)
    .join('');
}
