import { describeError } from '../errors.ts';
import { type CommandContext, say } from './context.ts';

/** Tells a person about connections that failed. */
export interface FailureLog {
  /** One connection failed. */
  add(what: string, error: unknown): void;
}

/**
 * A failure log that says a thing once: while the same failure repeats, as it does with a dead bridge
 * and an application that tries for ever, only the 10th, the 100th, … is told again.
 */
export function createFailureLog(context: CommandContext): FailureLog {
  let last = '';
  let repeats = 0;
  return {
    add(what, error) {
      if (context.stop.now.aborted) return;
      const line = `${what}: ${describeError(error)}`;
      repeats = line === last ? repeats + 1 : 1;
      last = line;
      if (Number.isInteger(Math.log10(repeats))) {
        say(context, repeats === 1 ? line : `${line} [${repeats} times]`);
      }
    },
  };
}
