import type { Writable } from 'node:stream';

/** All that the command would otherwise take from its process. */
export interface ConformContext {
  /** The arguments behind `postern-conform`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For verdicts. Everything else goes to `stderr`. */
  readonly stdout: Output;
  readonly stderr: Output;
  /** Gives the examination up. */
  readonly signal: AbortSignal;
}

/** A stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What `postern-conform` exits with. */
export const ExitCode = {
  /** Nothing that binds is broken. */
  ok: 0,
  /** Something that binds is broken, or there was no examination; stderr says why. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
} as const;
