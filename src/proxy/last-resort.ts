/** A last resort for every shutdown: a process that was told to end now is gone in time, whatever hangs. */
import { Worker } from 'node:worker_threads';
import { limits } from '../limits.ts';

/**
 * Arms the last resort of this process: `limits.lastResortMs` after `now` is aborted it kills itself, and
 * says on stderr that it had to and what was still open. It keeps no process alive that could end by itself.
 *
 * @param now aborted when the process is to end now, with an Error that says why
 */
export function armLastResort(now: AbortSignal): void {
  const arm = (): void => {
    const { message } = now.reason as Error;
    const sentence =
      `postern: still running ${limits.lastResortMs / 1000} s after it was told to end (${message}), ` +
      'so it kills itself.';
    setTimeout(endByForce, limits.lastResortMs, sentence).unref();
    // Nothing is left that could go on. Node's own exit, after this event, never ends where a socket was reset
    // while it was closing. Without an exit code the program did not reach its own end either.
    process.once('beforeExit', () => process.exit(process.exitCode ?? 1));
    watchEventLoop(`${sentence} Its event loop does not turn.\n`);
  };
  if (now.aborted) arm();
  else now.addEventListener('abort', arm, { once: true });
}

/**
 * Ends this process, which has nothing left to do, when output that nobody reads keeps it alive for longer
 * than a moment. Anything else that keeps it alive is a fault, which the last resort reports.
 */
export function giveUpUnreadOutput(): void {
  const { stdout, stderr } = process;
  setTimeout(() => {
    if (stdout.writableLength + stderr.writableLength > 0) process.exit();
  }, limits.finalFlushMs).unref();
}

function endByForce(sentence: string): void {
  process.stderr.write(`${sentence} Still open: ${openResources()}\n`);
  // `process.exit` alone waits for file operations and name lookups, for ever on a dead disk. Others
  // who listen for the exit, such as whoever has children to take along, are heard before.
  process.once('exit', () => process.kill(process.pid, 'SIGKILL'));
  process.exit();
}

/** Kinds and numbers of what keeps the event loop going, as `TCPSocketWrap 2, FSReqPromise 1`. */
function openResources(): string {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
}

/**
 * Where the event loop does not turn, because of a loop without an end or a terminal that was stopped, no
 * timer of it runs: a thread kills the process then, a little later.
 */
function watchEventLoop(lastWords: string): void {
  const options = { eval: true, workerData: { lastWords, afterMs: limits.lastResortMs + 250 } };
  new Worker(WATCHER, options).on('error', () => {}).unref();
}

const WATCHER = `
  const { workerData } = require('node:worker_threads');
  const kill = () => process.kill(process.pid, 'SIGKILL');
  setTimeout(() => {
    // Neither a reader that does not read nor a full disk is waited for.
    require('node:fs').write(2, workerData.lastWords, kill);
    setTimeout(kill, 250);
  }, workerData.afterMs);
`;
