import type { Clock } from '../time.ts';
import { logSeverities, type LogSeverity } from '../pt/messages.ts';
import { scrubAddresses } from '../pt/scrub.ts';
import type { LogLimiter } from '../log-limiter.ts';
import type { StateStore } from '../transports/contract.ts';
import { LogQueue, type LogEntry } from './log-queue.ts';

/**
 * One method for each severity of the LOG message. A line that a peer can cause comes with its kind, and
 * repeats of the kind become a count.
 */
export type Logger = Readonly<Record<LogSeverity, (text: string, kind?: string) => void>>;

/** Where log entries go. */
export type LogSink = (entry: LogEntry) => void;

/** How much is logged, and whether with addresses. */
export interface LogOptions {
  /** The lowest severity that is logged. */
  readonly level: LogSeverity;
  /** Whether addresses stay in the text (PT 4: by default no client's address is ever logged). */
  readonly unsafe: boolean;
  readonly limiter: LogLimiter;
}

/** A logger over sinks. */
export function createLogger(
  sinks: readonly LogSink[],
  { level, unsafe, limiter }: LogOptions,
): Logger {
  const write = (severity: LogSeverity, text: string): void => {
    const entry = { severity, text: unsafe ? text : scrubAddresses(text) };
    for (const sink of sinks) sink(entry);
  };
  const log = (severity: LogSeverity, text: string, kind?: string): void => {
    if (logSeverities.indexOf(severity) > logSeverities.indexOf(level)) return;
    if (kind === undefined) write(severity, text);
    else limiter.take(`${severity} ${kind}`, text, (line) => write(severity, line));
  };
  return Object.fromEntries(
    logSeverities.map((severity) => [
      severity,
      (text: string, kind?: string) => log(severity, text, kind),
    ]),
  ) as Logger;
}

/**
 * A log file in the state directory, the only place where files may be written (PT 3.2.1). When it
 * cannot be written, `onFailure` hears of it once and the file is given up.
 */
export function createLogFile(
  state: StateStore,
  file: string,
  clock: Clock,
  onFailure: (error: unknown) => void,
): LogQueue {
  let isGivenUp = false;
  const queue = new LogQueue(async (entries) => {
    if (isGivenUp) return;
    const time = new Date(clock.epochMs()).toISOString();
    const lines = entries.map(({ severity, text }) => `${time} [${severity}] ${toOneLine(text)}\n`);
    try {
      await state.append(file, Buffer.from(lines.join('')));
    } catch (error) {
      isGivenUp = true;
      onFailure(error);
    }
  });
  queue.open();
  return queue;
}

/** Whether a log file's name stays in the state directory. */
export function isPlainFileName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name);
}

function toOneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' | ');
}
