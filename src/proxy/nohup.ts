/** Whether the end of the terminal is to end us too. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Whether `nohup` started us, or our parent.
 *
 * It has SIGHUP ignored, but Node sets all signals back to their defaults before any script runs, so that
 * not even /proc/self/status tells. What does tell is what else it leaves behind. Most shells name the
 * command that they start in `_`. And where stdin is a terminal, nohup puts there a /dev/null that is
 * open for writing only; Linux alone shows that.
 */
export function isUnderNohup(env: Readonly<Record<string, string | undefined>>): boolean {
  if (basename(env['_'] ?? '') === 'nohup') return true;
  try {
    const [, flags] =
      /^flags:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8')) ?? [];
    return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) === WRITE_ONLY;
  } catch {
    return false;
  }
}

/** `O_ACCMODE` and `O_WRONLY`. */
const ACCESS_MODE = 3;
const WRITE_ONLY = 1;
