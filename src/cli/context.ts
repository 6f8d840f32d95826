import type { Readable, Writable } from 'node:stream';
import type { StopRequests } from '../proxy/stop-requests.ts';

/** The world as a verb sees it: everything that it would otherwise reach for is handed in. */
export interface CommandContext {
  /** The arguments behind `postern`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  /** For results and for the PT protocol. Everything that is meant for a person goes to `stderr`. */
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly stop: StopRequests;
  /** The process ID of our parent, at this moment. */
  readonly parentPid: () => number;
  /** What starts this program once more, without arguments. */
  readonly ownCommand: readonly [string, ...string[]];
  /** Listens for a signal that asks for something else than the end. @returns ends that */
  readonly onSignal: (signal: RequestSignal, listener: () => void) => () => void;
}

/** SIGUSR1 asks every verb for its status; the others end a process that does not listen for them. */
export type RequestSignal = 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2';

/** What `postern` exits with; every verb's help lists these. */
export const ExitCode = {
  /** It did what was asked, or was told to stop. */
  ok: 0,
  /** It could not do it, or could not go on; stderr says why and what to do. */
  failed: 1,
  /** The command line is wrong: an unknown option, a malformed address or bridge line. */
  usage: 2,
} as const;

/** The end of every help text. */
export const EXIT_CODES_HELP = `
Exit codes:
  0  it did what was asked, or was told to stop
  1  it failed; stderr says why and what to do
  2  the command line is wrong`;

/** Writes one line for a person. */
export function say(context: CommandContext, line: string): void {
  context.stderr.write(`${line}\n`);
}

/** Whether a parent has launched us as a pluggable transport (PT 3.2.1), and reads our stdout. */
export function hasParent(env: CommandContext['env']): boolean {
  // Any of them: a parent that forgets the version list is told so by an ENV-ERROR.
  return Object.keys(env).some((name) => name.startsWith('TOR_PT_'));
}
