import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Writable } from 'node:stream';
import type { CommandContext } from './context.ts';
import { untilAborted } from './until-aborted.ts';

/**
 * Reads one line from stdin, without its end; what is typed at a terminal is not shown.
 *
 * @param prompt shown at a terminal only
 * @returns undefined when it was asked to stop, empty when stdin ended without a line
 */
export async function readHiddenLine(
  context: CommandContext,
  prompt: string,
): Promise<string | undefined> {
  const input = context.stdin as Readable & { readonly isTTY?: boolean };
  const terminal = input.isTTY === true;
  if (terminal) context.stderr.write(prompt);
  // The line editor writes to nowhere: it would show what is typed.
  const output = new Writable({ write: (_chunk, _encoding, callback) => callback() });
  const lines = createInterface({ input, output, terminal, historySize: 0 });
  const line = new Promise<string>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve(''));
  });
  // In this mode the terminal hands Ctrl-C over as a character.
  const interrupted = new Promise<undefined>((resolve) => {
    lines.once('SIGINT', () => resolve(undefined));
  });
  const stopped = untilAborted(context.stop.drain).then(() => undefined);
  try {
    return await Promise.race([line, interrupted, stopped]);
  } finally {
    lines.close();
    if (terminal) context.stderr.write('\n');
  }
}
