/** `--cookie` and `--password-file`: what a controller authenticates with. */
import { readFile } from 'node:fs/promises';
import { readControlCookie } from '../control/node/cookie-file.ts';
import { UsageError } from './report-error.ts';

/** The two options, of which one at most can be given. */
export interface ControlSecretOptions {
  readonly cookie?: string;
  readonly passwordFile?: string;
}

/**
 * @returns the bytes of a cookie, a passphrase as text, or undefined when none is given
 * @throws PosternError like `readControlCookie`; UsageError
 */
export async function readControlSecret({
  cookie,
  passwordFile,
}: ControlSecretOptions): Promise<Uint8Array | string | undefined> {
  if (cookie !== undefined && passwordFile !== undefined) {
    throw new UsageError('only one of --cookie and --password-file can be given');
  }
  if (cookie !== undefined) return readControlCookie(cookie);
  if (passwordFile === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(passwordFile, 'utf8');
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new UsageError(`the --password-file cannot be read (${errno})`);
  }
  // An editor ends the line; the passphrase is without.
  return text.replace(/\r?\n$/, '');
}
