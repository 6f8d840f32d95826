import { describeError, type ErrorCode, PosternError } from '../errors.ts';
import { formatMessage } from '../pt/encode.ts';
import { type CommandContext, ExitCode, hasParent, say } from './context.ts';

/** A command line that cannot be followed; the message says which part of it and why. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** Errors that only another command line can mend, unless a torrc is at fault. */
const usageCodes: ReadonlySet<ErrorCode> = new Set([
  'ERR_PT_BRIDGE_LINE',
  'ERR_PT_NAME',
  'ERR_PT_UPSTREAM_PROXY',
  'ERR_TRANSPORT_ARGUMENT',
  'ERR_TRANSPORT_OPTION',
  'ERR_TRANSPORT_UNKNOWN',
]);

/**
 * Tells a person why a verb ended and what to do about it; a parent too, which reads stdout alone and
 * would start us again and again without a visible reason (PT 3.3.1 [PT-3.3.1-12, 13]).
 *
 * @param what what could not be done, as "cannot listen on 127.0.0.1:80"
 * @param isOfFile whether what is wrong stands in a file, and not on the command line
 * @returns the exit code
 */
export function reportError(
  context: CommandContext,
  error: unknown,
  what?: string,
  isOfFile = false,
): number {
  const prefix = what === undefined ? 'postern:' : `postern: ${what}:`;
  if (hasParent(context.env)) {
    const isUsage = error instanceof UsageError;
    const text = isUsage ? `on the command line, ${error.message}` : describeError(error);
    context.stdout.write(`${formatMessage({ kind: 'ENV-ERROR', text: `${prefix} ${text}` })}\n`);
  }
  if (error instanceof UsageError) {
    say(context, `${prefix} ${error.message}`);
    return ExitCode.usage;
  }
  if (error instanceof PosternError) {
    say(context, `${prefix} ${error.message} (${error.code})`);
    say(context, `  What to do: ${error.remedy}`);
    return usageCodes.has(error.code) && !isOfFile ? ExitCode.usage : ExitCode.failed;
  }
  // Not thrown on purpose: the stack is needed to mend it.
  say(context, `${prefix} ${error instanceof Error ? error.stack : String(error)}`);
  return ExitCode.failed;
}
