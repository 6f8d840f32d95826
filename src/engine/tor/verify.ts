import { spawn } from 'node:child_process';
import { addAbortListener } from 'node:events';
import { text } from 'node:stream/consumers';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Timers } from '../../time.ts';
import type { EnvironmentVariables } from '../../pt/proxy-environment.ts';
import { reasonIn, TorrcRefusal } from './complaints.ts';

/**
 * Has Tor judge a torrc: `tor --verify-config`.
 *
 * @param torrc its text
 * @throws TorrcRefusal; PosternError `ERR_TOR_PROGRAM`; the signal's reason
 */
export async function verifyWithTor(
  binary: string,
  torrc: string,
  dataDirectory: string,
  env: EnvironmentVariables,
  timers: Timers,
  signal?: AbortSignal,
): Promise<void> {
  const child = spawn(
    binary,
    [
      '--verify-config',
      ...['-f', '-'],
      ...['--defaults-torrc', '/dev/null'],
      ...['--DataDirectory', dataDirectory],
      '--hush',
    ],
    { env: { PATH: env['PATH'] }, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  const cancelTimeout = timers.after(limits.torProgramMs, kill);
  using _ = signal && addAbortListener(signal, kill);
  const failed = new Promise<never>((_resolve, reject) => {
    child.on('error', (cause) => {
      reject(new PosternError('ERR_TOR_PROGRAM', `${binary} does not run`, { cause }));
    });
  });
  child.stdin.on('error', () => {}).end(torrc);
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const [output, exitCode] = await Promise.race([
    Promise.all([text(child.stdout), ended]),
    failed,
  ]).finally(cancelTimeout);
  if (exitCode === 0) return;
  signal?.throwIfAborted();
  if (exitCode === null) throw new PosternError('ERR_TOR_PROGRAM', `${binary} does not answer`);
  const complaints = [...output.matchAll(/\[(?:warn|err)\] (.*)/g)].map((match) => match[1]!);
  throw new TorrcRefusal(reasonIn(complaints) ?? 'Tor does not take it');
}
