/** The process: hands the world to the command and keeps its exit code. */
import './small-heap.ts';
import { ExitCode } from './context.ts';
import { stopRequestsOfProcess } from '../proxy/stop-requests.ts';
import { runCommand } from './program.ts';

const { stdin, stdout, stderr } = process;

const stop = stopRequestsOfProcess();

// Holds if the verb never settles although nothing is left that could go on.
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
    return () => {
      process.off(signal, listener);
    };
  },
});

stop.over();
