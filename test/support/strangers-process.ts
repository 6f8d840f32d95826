/** Strangers that connect to a listener, in a process of their own. */
import { join } from 'node:path';
import { buildRoot } from '../../scripts/paths.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { LoggedProcess } from './logged-process.ts';
import type { Cleanup } from './pt-programs.ts';

/**
 * Starts so many, who send so many bytes each, and resolves when all have connected. They stay.
 *
 * @param listener an address, or the path of a socket
 */
export async function letStrangersCome(
  t: Cleanup,
  listener: Endpoint | string,
  count: number,
  byteCount = 0,
): Promise<LoggedProcess> {
  const script = join(buildRoot, 'test', 'support', 'strangers.js');
  const strangers = new LoggedProcess('strangers', [
    process.execPath,
    script,
    ...[typeof listener === 'string' ? listener : listener.port, count, byteCount].map(String),
  ]);
  t.after(() => strangers.kill());
  await strangers.line(/^all came$/);
  return strangers;
}
