import { PosternError, type ErrorCode } from '../errors.ts';
import type { Stage } from './machine.ts';

/** How a child ended, and what it said last. */
export interface ChildEnd {
  /** Whether we had asked it to. */
  readonly wasRequested: boolean;
  /** How far it had come: `ready` for a child that ran. */
  readonly stage: Stage;
  /** Null when a signal ended it, or when it never ran. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines of its stderr, addresses scrubbed. */
  readonly stderrLines: readonly string[];
}

/** A child that could not be started, or that ended unasked: why, and how it ended. */
export class ChildError extends PosternError {
  readonly end: ChildEnd;

  constructor(code: ErrorCode, what: string, end: ChildEnd, options?: { cause?: unknown }) {
    super(code, `${what} (${describeEnd(end)})`, options);
    this.end = end;
  }
}

/** `exit code 1, at stage starting; last on stderr: …` */
export function describeEnd(end: ChildEnd): string {
  const how =
    end.signal !== null
      ? `ended by ${end.signal}`
      : end.exitCode === null
        ? 'never ran'
        : `exit code ${end.exitCode}`;
  const last = end.stderrLines.at(-1);
  return `${how}, at stage ${end.stage}${last === undefined ? '' : `; last on stderr: ${last}`}`;
}
