/** The Tor that is installed: where it is, and which options it knows. */
import { execFile } from 'node:child_process';
import { addAbortListener } from 'node:events';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Timers } from '../../time.ts';
import type { EnvironmentVariables } from '../../pt/proxy-environment.ts';

/**
 * The path of a Tor.
 *
 * @param binary `TorBinary`, when it is set
 * @throws PosternError `ERR_TOR_PROGRAM` when there is none
 */
export async function findTor(
  binary: string | undefined,
  env: EnvironmentVariables,
): Promise<string> {
  if (binary !== undefined) {
    if (await isExecutable(binary)) return binary;
    throw new PosternError('ERR_TOR_PROGRAM', `TorBinary: there is no program at ${binary}`);
  }
  const searched = (env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  for (const folder of [...searched, ...usualFolders]) {
    const path = join(folder, 'tor');
    if (await isExecutable(path)) return path;
  }
  throw new PosternError('ERR_TOR_PROGRAM', 'there is no tor in the search path');
}

/**
 * The names of all options that a Tor knows, in its own spelling.
 *
 * @throws PosternError `ERR_TOR_PROGRAM` when it is no Tor; the signal's reason
 */
export async function listTorOptions(
  binary: string,
  env: EnvironmentVariables,
  timers: Timers,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const patience = new AbortController();
  const cancelTimeout = timers.after(limits.torProgramMs, () => patience.abort());
  using _ = signal && addAbortListener(signal, () => patience.abort());
  try {
    const { stdout } = await promisify(execFile)(binary, ['--list-torrc-options'], {
      env: { PATH: env['PATH'] },
      signal: patience.signal,
    });
    const names = stdout.split('\n').filter((line) => /^\w+$/.test(line));
    if (names.includes('SocksPort')) return names;
  } catch (cause) {
    signal?.throwIfAborted();
    const problem = patience.signal.aborted ? 'does not answer' : 'does not run';
    throw new PosternError('ERR_TOR_PROGRAM', `${binary} ${problem}`, { cause });
  } finally {
    cancelTimeout();
  }
  throw new PosternError('ERR_TOR_PROGRAM', `${binary} is no Tor, or one from before 2012`);
}

/** Where packages install it; a user's PATH may lack these. */
const usualFolders: readonly string[] = [
  '/usr/bin',
  '/usr/sbin',
  '/usr/local/bin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
];

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
