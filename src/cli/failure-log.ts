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
 * A failure log that says a thing once: while the same failure repeats, as it does with a dead bridge
 * and an application that tries for ever, a count is told now and then.
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
