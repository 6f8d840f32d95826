/** A daemon's log that a test reads: each line with its level, and the domain where it has one. */
import type { LogLevel } from '../../src/config/log-values.ts';
import type { Log } from '../../src/engine/log.ts';

/** What was written. */
export interface Said {
  /** `level text`, without the lines of what listens where. */
  readonly lines: readonly string[];
  /** The domain of each line. */
  readonly domains: readonly (string | undefined)[];
  /** Resolves when so many lines are like that. */
  until(pattern: RegExp, count?: number): Promise<void>;
}

/** A log, and what was written to it. */
export function recordingLog(): { readonly log: Log; readonly said: Said } {
  const lines: string[] = [];
  const domains: (string | undefined)[] = [];
  const waiters = new Set<() => void>();
  const inDomain = (domain?: string): Log => ({
    write(level: LogLevel, text) {
      lines.push(`${level} ${text}`);
      domains.push(domain);
      for (const wake of waiters) wake();
    },
    announce: () => {},
    conceal: (text) => text,
    in: inDomain,
  });
  const until = (pattern: RegExp, count = 1): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (lines.filter((line) => pattern.test(line)).length < count) return;
        waiters.delete(look);
        resolve();
      };
      waiters.add(look);
      look();
    });
  return { log: inDomain(), said: { lines, domains, until } };
}
