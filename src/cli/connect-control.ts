/** Connects to a daemon's control port, for the verbs that watch one. */
import { ControlRefusal } from '../control/messages.ts';
import { connectControl, type ControlClient } from '../control/node/client.ts';
import { formatEndpoint } from '../pt/address.ts';
import { type CommandContext, ExitCode, say } from './context.ts';
import { type ControlPlaceOptions, findControl } from './control-place.ts';
import { reportError } from './report-error.ts';

/** A connection that has authenticated. */
export interface ConnectedDaemon {
  readonly client: ControlClient;
  /** Where it is, for people. */
  readonly place: string;
}

/** @returns the connection, or the exit code once the reader was told why there is none */
export async function connectToDaemon(
  context: CommandContext,
  options: ControlPlaceOptions,
  signal: AbortSignal,
): Promise<ConnectedDaemon | number> {
  const { address, secret, whenRefused } = await findControl(context, options);
  const place = 'host' in address ? formatEndpoint(address) : address.socketPath;
  try {
    const given = secret === undefined ? {} : { secret };
    return { client: await connectControl(address, { signal, ...given }), place };
  } catch (error) {
    if (signal.aborted) return ExitCode.ok;
    const exitCode = reportError(context, error, `cannot control the daemon at ${place}`);
    if (error instanceof ControlRefusal) say(context, `  ${whenRefused}`);
    return exitCode;
  }
}
