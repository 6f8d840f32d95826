import { describeError } from '../errors.ts';
import { LogLimiter } from '../log-limiter.ts';
import { type CommandContext, say } from './context.ts';

/** Tells a person about connections that failed. */
export interface FailureLog {
  /** One connection failed. */
  add(what: string, error: unknown): void;
  /** Something that may come again and again. */
  note(text: string): void;
}

/**
 * A failure log that says each thing once. While the same failure repeats, as with a dead bridge and an
 * application that tries for ever, it adds a count now and then.
 */
export function createFailureLog(context: CommandContext): FailureLog {
  const limiter = new LogLimiter();
  return {
    add(what, error) {
      if (context.stop.now.aborted) return;
      const line = `${what}: ${describeError(error)}`;
      limiter.take(line, line, (text) => say(context, text));
    },
    note(text) {
      limiter.take(text, text, (line) => say(context, `Note: ${line}.`));
    },
  };
}
