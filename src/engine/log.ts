/** `Log` and `SafeLogging`: where a daemon's log lines go. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { access, open, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Clock } from '../time.ts';
import { type LogDomain, type LogLevel, type LogLine, takesLine } from '../config/log-values.ts';
import { expandPath } from '../config/node.ts';
import type { OptionValues } from '../config/options.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { LogLimiter } from '../log-limiter.ts';
import { scrubAddresses } from '../pt/scrub.ts';
import type { Emitter } from '../bytes/emitter.ts';
import type { EngineEvent } from '../control/engine.ts';
import type { EnvironmentVariables } from '../pt/proxy-environment.ts';
import type { Change, Part } from './part.ts';
import { numbered, Resources, type Wanted } from './resources.ts';
import { formatForSyslog, openSyslog } from './syslog.ts';

/** What the log is given. */
export interface DaemonLogOptions {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly home: string;
  readonly env: EnvironmentVariables;
  readonly clock: Clock;
  readonly events: Emitter<EngineEvent>;
}

/** Where the parts of a daemon write. */
export interface Log {
  /**
   * Writes a line, addresses scrubbed.
   *
   * @param kind for a line that a peer can cause: repeats of the kind become a count
   */
  readonly write: (level: LogLevel, message: string, kind?: string) => void;
  /**
   * Writes a line whose addresses are this daemon's own: whoever starts it must learn where it listens.
   */
  readonly announce: (message: string) => void;
  /** A name or an address for a log line: itself, or with `SafeLogging` a mark. */
  readonly conceal: (text: string) => string;
  /** The same for lines of one of Tor's domains; undefined for those that may be of any. */
  readonly in: (domain: LogDomain | undefined) => Log;
}

/** Where lines of some levels go. */
interface Sink {
  readonly line: LogLine;
  readonly output: Writable;
  /** Undefined for what is not ours to close. */
  readonly file?: Writable;
}

/**
 * The log of a daemon. Every line is an event as well. With `SafeLogging` all addresses in a line are
 * scrubbed; callers name no host names, cookies or secrets in the first place.
 */
export class DaemonLog implements Part, Log {
  readonly #options: DaemonLogOptions;
  readonly #sinks: Resources<Sink> = new Resources(async ({ file }) => {
    // People read the end of a log first: it is on disk before we exit.
    if (file !== undefined) await finished(file.end()).catch(() => {});
  });
  #values: Pick<OptionValues, 'Log' | 'SafeLogging'> | undefined;
  readonly #limiter = new LogLimiter();
  #isDebug = false;
  /** Counts how often the files were begun again. */
  #generation = 0;

  constructor(options: DaemonLogOptions) {
    this.#options = options;
  }

  write(level: LogLevel, message: string, kind?: string): void {
    this.in('general').write(level, message, kind);
  }

  announce(message: string): void {
    this.in('general').announce(message);
  }

  conceal(text: string): string {
    return this.#values?.SafeLogging === false ? text : '[scrubbed]';
  }

  in(domain: LogDomain | undefined): Log {
    const write = (level: LogLevel, text: string): void => this.#write(level, text, domain);
    return {
      write: (level, message, kind) => {
        const text = this.#values?.SafeLogging === false ? message : scrubAddresses(message);
        if (kind === undefined) write(level, text);
        else this.#limiter.take(`${level} ${kind}`, text, (line) => write(level, line));
      },
      announce: (message) => write('notice', message),
      conceal: (text) => this.conceal(text),
      in: (other) => this.in(other),
    };
  }

  /** SIGNAL debug: all logs take everything, until the configuration is loaded again. */
  setDebug(): void {
    this.#isDebug = true;
  }

  prepare(next: OptionValues): Promise<Change> {
    return this.#prepare(next, this.#generation, () => {});
  }

  /** The same, but every file is begun again, after something else moved it away; ends `setDebug`. */
  prepareAfresh(next: OptionValues): Promise<Change> {
    // Nothing is kept: no key of the new ones is one of the old.
    const generation = this.#generation + 1;
    return this.#prepare(next, generation, () => {
      this.#generation = generation;
      this.#isDebug = false;
    });
  }

  /** Opens each file, and removes it again where there was none. */
  async verify(first: OptionValues): Promise<void> {
    for (const { target } of first.Log) {
      if (target === 'syslog') (await openSyslog(this.#options.env, () => {})).end();
      if (typeof target === 'string') continue;
      const path = expandPath(target.file, this.#options.home);
      const isThere = await access(path).then(
        () => true,
        () => false,
      );
      (await openLogFile(path)).destroy();
      if (!isThere) await rm(path);
    }
  }

  close(): Promise<void> {
    this.#limiter.flush();
    return this.#sinks.close();
  }

  async #prepare(next: OptionValues, generation: number, onCommit: () => void): Promise<Change> {
    const change = await this.#sinks.prepare(this.#wanted(next.Log, generation));
    return {
      commit: () => {
        change.commit();
        this.#values = next;
        onCommit();
      },
      rollback: change.rollback,
    };
  }

  #wanted(lines: readonly LogLine[], generation: number): Wanted<Sink> {
    return new Map(
      numbered(lines, (line) => JSON.stringify([line, generation])).map(
        ([key, line]) => [key, { open: () => this.#open(line) }] as const,
      ),
    );
  }

  async #open(line: LogLine): Promise<Sink> {
    const { stdout, stderr, home } = this.#options;
    if (line.target === 'stdout') return { line, output: stdout };
    if (line.target === 'stderr') return { line, output: stderr };
    if (line.target === 'syslog') {
      const file = await openSyslog(this.#options.env, () => {
        stderr.write('nothing is written to the system log any more: `logger` has ended\n');
      });
      return { line, output: file, file };
    }
    const file = await openLogFile(expandPath(line.target.file, home));
    // Said once, on stderr; the other logs go on.
    file.on('error', (error: NodeJS.ErrnoException) => {
      stderr.write(`a log file cannot be written any more (${error.code ?? 'unknown error'})\n`);
    });
    return { line, output: file, file };
  }

  #write(level: LogLevel, message: string, domain: LogDomain | undefined): void {
    const { clock, events } = this.#options;
    // Text of a Tor or a child may come from an application: no line may send commands to a terminal.
    const lines = message.split(/[\r\n]+/).map((line) => line.trim());
    const text = lines.join(' | ').replace(/\p{Cc}+/gu, ' ');
    const entry = `${new Date(clock.epochMs()).toISOString()} [${level}] ${text}\n`;
    for (const { line, output } of this.#sinks.current.values()) {
      if (!this.#takes(line, level, domain) || output.destroyed) continue;
      // A log must neither hold traffic up nor grow in memory without end.
      if (output.writableLength > limits.logBacklogBytes) continue;
      output.write(line.target === 'syslog' ? formatForSyslog(level, text) : entry);
    }
    events.emit({ type: 'log', level, message: text });
  }

  #takes(line: LogLine, level: LogLevel, domain: LogDomain | undefined): boolean {
    if (!this.#isDebug) return takesLine(line, level, domain);
    // As Tor does: everything that is not above what the line takes at the most.
    const ranges = line.ranges.map((range) => ({ ...range, minimum: 'debug' as const }));
    return takesLine({ ...line, ranges }, level, domain);
  }
}

async function openLogFile(path: string): Promise<WriteStream> {
  try {
    const handle = await open(path, 'a', 0o600);
    return createWriteStream('', { fd: handle });
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError('ERR_LOG_FILE', `the log file ${path} cannot be opened (${errno})`, {
      cause: error,
    });
  }
}
