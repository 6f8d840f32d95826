/** The way to a daemon's control port, for the verbs that follow one. */
import { ControlRefusal } from '../control/messages.ts';
import { connectControl, type ControlClient } from '../control/node/client.ts';
import { parseControlAddress } from './arguments.ts';
import { type CommandContext, ExitCode } from './context.ts';
import { type ControlSecretOptions, readControlSecret } from './control-secret.ts';
import { reportError } from './report-error.ts';

/** Where it is, and what opens it. */
export interface ControlOptions extends ControlSecretOptions {
  readonly control: string;
}

/** @returns the client, or the exit code when that was told why there is none */
export async function connectToDaemon(
  context: CommandContext,
  options: ControlOptions,
  signal: AbortSignal,
): Promise<ControlClient | number> {
  const address = parseControlAddress('--control', options.control);
  const secret = await readControlSecret(options);
  try {
    return await connectControl(address, { signal, ...(secret !== undefined && { secret }) });
  } catch (error) {
    if (signal.aborted) return ExitCode.ok;
    const what = error instanceof ControlRefusal ? 'the daemon refuses' : undefined;
    return reportError(context, error, what ?? `cannot control the daemon at ${options.control}`);
  }
}
