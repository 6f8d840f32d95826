/** The process itself: spawned with a clean environment, its pipes drained at our pace, its end noted once. */
import { once } from 'node:events';
import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { limits } from '../limits.ts';
import { LineSplitter, type LineEvent } from '../pt/line-splitter.ts';
import type { EnvironmentVariables } from '../pt/proxy-environment.ts';
import { scrubAddresses } from '../pt/scrub.ts';
import { readPaced } from './paced-reading.ts';
import type { Stoppable } from './terminate.ts';
import type { Timers } from '../time.ts';

/**
 * What a child inherits of our environment, and nothing else: what programs need to find files, speak the
 * user's language and trust certificates. Secrets that happen to stand in ours stay here, and so do
 * TOR_PT_* variables that were meant for us.
 */
const inheritedVariables: readonly string[] = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'LC_CTYPE',
  'LC_MESSAGES',
  'TZ',
  'TMPDIR',
  'TMP',
  'TEMP',
  'LD_LIBRARY_PATH',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'SystemRoot',
  'windir',
  'PATHEXT',
];

/** What the process tells. */
interface ProcessHandlers {
  readonly onStdout: (event: LineEvent) => void;
  /** Stdout is at its end, and nothing more will come of it. */
  readonly onStdoutEnd: () => void;
  /** A line of stderr, addresses scrubbed. */
  readonly onStderr: (line: string) => void;
  /** It has been writing for long, on either pipe, as fast as we read. */
  readonly onFlood: () => void;
}

/** How a process ended. */
interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started; undefined when it ran. */
  readonly spawnError?: Error;
}

/** A process that was started, or that could not be. */
export interface RunningProcess extends Stoppable {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  readonly exited: Promise<ProcessEnd>;
  /** The process is gone, and what was in its pipes has been read. */
  readonly ended: Promise<ProcessEnd>;
  /** The last lines of stderr so far, addresses scrubbed. */
  readonly stderrLines: readonly string[];
}

/** How a program is started. */
export interface ProcessOptions {
  /** What it gets beside the variables that every child inherits. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Where those come from. */
  readonly env: EnvironmentVariables;
  readonly handlers: ProcessHandlers;
  readonly timers: Timers;
  /** Out of reach of the terminal: a Ctrl-C there is for us, and we stop the program. */
  readonly isDetached?: boolean;
}

/** Starts a program without a shell: arguments and paths are taken as they are, spaces included. */
export function startProcess(
  [program, ...args]: readonly [string, ...string[]],
  { variables, env, handlers, timers, isDetached = false }: ProcessOptions,
): RunningProcess {
  const child = spawn(program, args, {
    env: { ...inherited(env), ...variables },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: isDetached,
    windowsHide: true,
  });
  // A failed exec leaves no process number, and perhaps no pipes.
  if (child.pid === undefined) return failedProcess(child);
  // A signal that could not be sent is no news: the process is gone, and 'exit' says so.
  child.on('error', () => {});
  // Stdin is never written to: its end is the request to end, or the sign that we have died (PT 3.4).
  child.stdin.on('error', () => {});

  const stdout = new LineSplitter();
  readPaced(
    child.stdout,
    (bytes) => stdout.push(bytes).forEach(handlers.onStdout),
    handlers.onFlood,
  );
  child.stdout.on('error', () => {}).once('close', handlers.onStdoutEnd);
  const stderrLines = keepLastLines(child, handlers);
  const pipesClosed = Promise.all([closed(child.stdout), closed(child.stderr)]);

  running.add(child);
  const exited = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      running.delete(child);
      resolve({ exitCode, signal });
    });
  });
  return {
    pid: child.pid,
    exited,
    ended: exited.then(async (end) => {
      // A grandchild may hold the pipes of a dead process open: after a while we close our end.
      const cancel = timers.after(limits.childDrainMs, () => {
        child.stdout.destroy();
        child.stderr.destroy();
      });
      await pipesClosed;
      cancel();
      return end;
    }),
    stderrLines,
    closeStdin() {
      child.stdin.end();
    },
    kill(signal) {
      child.kill(signal);
    },
  };
}

/** Every child that has not ended yet. */
const running = new Set<ChildProcess>();

// After an uncaught exception nobody waits for the children: they are killed, so that none stays behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A process that could not be started: one that has ended, with the reason. */
function failedProcess(child: ChildProcess): RunningProcess {
  const exited = once(child, 'error').then(([error]): ProcessEnd => {
    return { exitCode: null, signal: null, spawnError: error as Error };
  });
  return {
    pid: undefined,
    exited,
    ended: exited,
    stderrLines: [],
    closeStdin: () => {},
    kill: () => {},
  };
}

function inherited(env: EnvironmentVariables): Record<string, string> {
  return Object.fromEntries(
    inheritedVariables.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Keeps the last lines of stderr, with the unterminated one that a crash may end in. */
function keepLastLines(
  child: ChildProcessWithoutNullStreams,
  { onStderr, onFlood }: Pick<ProcessHandlers, 'onStderr' | 'onFlood'>,
): readonly string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(limits.childStderrLineBytes);
  const keep = (event: LineEvent): void => {
    const line =
      event.kind === 'line'
        ? scrubAddresses(Buffer.from(event.bytes).toString('utf8').trimEnd())
        : `(a line of more than ${event.maxBytes} bytes)`;
    if (lines.length === limits.childStderrLines) lines.shift();
    lines.push(line);
    onStderr(line);
  };
  let endsInNewline = true;
  const take = (bytes: Uint8Array): void => {
    endsInNewline = bytes.at(-1) === 0x0a;
    splitter.push(bytes).forEach(keep);
  };
  readPaced(child.stderr, take, onFlood);
  child.stderr
    .on('error', () => {})
    .once('close', () => {
      if (!endsInNewline) splitter.push(Buffer.of(0x0a)).forEach(keep);
    });
  return lines;
}

/** Resolves at the stream's 'close': all that was written to it has been read. */
function closed(stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}
