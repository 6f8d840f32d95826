import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CommandContext } from './context.ts';

/**
 * Where a verb keeps its state unless `--state` says so: by verb, transport and the port that it
 * listens on, so that no two which run at the same time share it.
 */
export function defaultStateDirectory(
  context: CommandContext,
  verb: 'bridge' | 'client',
  transport: string,
  port: number,
): string {
  return join(stateHome(context), 'postern', `${verb}-${transport}-${port}`);
}

/** The XDG Base Directory specification: an unset, empty or relative value means the default. */
function stateHome({ env }: CommandContext): string {
  const configured = env['XDG_STATE_HOME'];
  return configured?.startsWith('/') === true ? configured : join(homedir(), '.local', 'state');
}
