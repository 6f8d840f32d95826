/** `Log … syslog`: through `logger`, since Node cannot write to the system's log itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { LogLevel } from '../config/log-values.ts';
import { PosternError } from '../errors.ts';
import type { EnvironmentVariables } from '../pt/proxy-environment.ts';

/**
 * Starts a `logger` that ends with its input.
 *
 * @param onLost hears of its end, when it was not asked to end
 * @throws PosternError `ERR_LOG_FILE` where there is none
 */
export async function openSyslog(env: EnvironmentVariables, onLost: () => void): Promise<Writable> {
  const child = spawn('logger', ['-t', 'postern', '--prio-prefix'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: env['PATH'] },
  });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    const text =
      'the system log cannot be written to: the program `logger` (util-linux) is missing';
    throw new PosternError('ERR_LOG_FILE', text, { cause });
  }
  const { stdin } = child;
  child.once('exit', () => {
    if (!stdin.writableEnded) onLost();
    stdin.destroy();
  });
  stdin.on('error', () => {});
  child.unref();
  return stdin;
}

/** A line with the priority that `logger` takes from it. */
export function formatForSyslog(level: LogLevel, text: string): string {
  return `<${DAEMON + severities[level]}>${text}\n`;
}

/** Facility 3 (RFC 5424, section 6.2.1). */
const DAEMON = 3 * 8;

const severities: Readonly<Record<LogLevel, number>> = {
  debug: 7,
  info: 6,
  notice: 5,
  warn: 4,
  err: 3,
};
