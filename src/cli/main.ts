/** The process: hands the world to the command and keeps its exit code. */
import './small-heap.ts';
import { limits } from '../limits.ts';
import { armLastResort } from '../proxy/last-resort.ts';
import { runCommand } from './program.ts';
import { stopRequestsOf } from './stop-requests.ts';

const { stdin, stdout, stderr } = process;

// That nobody reads what is said is no reason to stop serving.
stderr.on('error', () => {});

const stop = stopRequestsOf(process, stdout);
armLastResort(stop.now);

process.exitCode = await runCommand({
  args: process.argv.slice(2),
  env: process.env,
  stdin,
  stdout,
  stderr,
  stop,
  parentPid: () => process.ppid,
  onSignal: (signal, listener) => {
    process.on(signal, listener);
    return () => void process.off(signal, listener);
  },
});

if (stop.drain.aborted) {
  stop.endNow(new Error('the command is over'));
  // Output that nobody reads keeps the process for a moment only. Anything else that does is a fault, which
  // the last resort tells of.
  setTimeout(() => {
    if (stdout.writableLength + stderr.writableLength > 0) process.exit();
  }, limits.finalFlushMs).unref();
}
