/** `postern hash-password`: makes the torrc line that lets a passphrase open the control port. */
import { formatPassphraseHash, hashPassphrase } from '../crypto/passphrase.ts';
import { systemRng } from '../crypto/rng.ts';
import { type CommandContext, ExitCode, say } from './context.ts';
import { readHiddenLine } from './hidden-line.ts';
import { UsageError } from './report-error.ts';

/**
 * Reads a passphrase, never from the command line, where other users of the machine could see it, and
 * prints its hash.
 */
export async function run(context: CommandContext): Promise<number> {
  const passphrase = await readHiddenLine(context, 'Passphrase: ');
  if (passphrase === undefined) return ExitCode.ok;
  if (passphrase === '') throw new UsageError('there is no passphrase on stdin');
  const hash = hashPassphrase(Buffer.from(passphrase, 'utf8'), systemRng);
  context.stdout.write(`${formatPassphraseHash(hash)}\n`);
  say(context, 'Put it into the torrc, after HashedControlPassword.');
  return ExitCode.ok;
}
