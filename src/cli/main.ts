/** The process: hands the world to the command and keeps its exit code. */
import './small-heap.ts';
import { ExitCode } from './context.ts';
import { armLastResort, giveUpUnreadOutput } from '../proxy/last-resort.ts';
import { runCommand } from './program.ts';
import { stopRequestsOf } from './stop-requests.ts';

const { stdin, stdout, stderr } = process;

// That nobody reads what is said is no reason to stop serving.
stderr.on('error', () => {});

const stop = stopRequestsOf(process, stdout);
armLastResort(stop.now);

// What stands if the verb never ends, and yet nothing is left that could go on.
process.exitCode = ExitCode.failed;
process.exitCode = await runCommand({
  args: process.argv.slice(2),
  env: process.env,
  stdin,
  stdout,
  stderr,
  stop,
  parentPid: () => process.ppid,
  ownCommand: [process.execPath, process.argv[1]!],
  onSignal: (signal, listener) => {
    process.on(signal, listener);
    return () => void process.off(signal, listener);
  },
});

if (stop.drain.aborted) {
  stop.endNow(new Error('the command is over'));
  giveUpUnreadOutput();
}
