/** The ways in which a parent tells its child to end, or disappears (PT 3.4). */
import type { Readable } from 'node:stream';
import { limits } from '../limits.ts';

/** Where the signs come from. */
export interface EndSources {
  /** Aborted by the first SIGINT. */
  readonly drain: AbortSignal;
  /** Aborted by SIGTERM and by a second SIGINT. */
  readonly now: AbortSignal;
  /** Called once, with the reason, when the program is to end now, for any cause: arms a last resort. */
  readonly onEndNow?: (why: Error) => void;
  readonly stdin: Readable;
  /** Whether the end of stdin counts: TOR_PT_EXIT_ON_STDIN_CLOSE is exactly "1" (PT 3.2.1). */
  readonly exitOnStdinClose: boolean;
  /** The parent's process ID at this moment. */
  readonly parentPid: () => number;
  /** Aborted when nobody reads stdout any more. */
  readonly stdoutBroken: AbortSignal;
}

/** All of them as two signals. */
export interface Ends extends Disposable {
  /** No new connections; end when the last one has ended. */
  readonly drain: AbortSignal;
  /** End at once. Its reason is an Error whose message says what happened. */
  readonly now: AbortSignal;
  /** Ends it from inside. Without effect when it is ending already. */
  readonly endNow: (why: string) => void;
}

/** Watches until it is disposed of; what it set up does not keep the process alive after that. */
export function watchEnds(sources: EndSources): Ends {
  const { stdin, exitOnStdinClose, parentPid, stdoutBroken } = sources;
  const now = new AbortController();
  const endNow = (why: string): void => {
    if (now.signal.aborted) return;
    now.abort(new Error(why));
    sources.onEndNow?.(now.signal.reason as Error);
  };
  const onSignal = (): void => endNow('a signal told it to');
  const onStdinClose = (): void => endNow('the parent closed stdin');
  const parentGone = (): void => endNow('the parent has gone');

  if (sources.now.aborted) onSignal();
  sources.now.addEventListener('abort', onSignal);
  if (stdoutBroken.aborted) parentGone();
  stdoutBroken.addEventListener('abort', parentGone);

  // Unless the variable is "1", stdin is not even looked at [PT-3.2.1-14].
  if (exitOnStdinClose) {
    // Bytes on stdin mean nothing; only its end does.
    stdin.on('end', onStdinClose).on('close', onStdinClose).on('error', onStdinClose).resume();
    if (stdin.readableEnded || stdin.destroyed) onStdinClose();
  }

  // An orphan gets another parent: that is how a SIGKILL of the parent shows [PT-3.4-08].
  const firstParent = parentPid();
  const poll = setInterval(() => {
    if (parentPid() !== firstParent) parentGone();
  }, limits.parentPollMs);

  return {
    drain: sources.drain,
    now: now.signal,
    endNow,
    [Symbol.dispose]() {
      clearInterval(poll);
      sources.now.removeEventListener('abort', onSignal);
      if (!exitOnStdinClose) return;
      stdin.off('end', onStdinClose).off('close', onStdinClose).pause();
    },
  };
}
