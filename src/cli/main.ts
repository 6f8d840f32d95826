/** The process: hands the world to the command and keeps its exit code. */
import { runCommand } from './program.ts';
import { stopRequestsOf } from './stop-requests.ts';

process.exitCode = await runCommand({
  args: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  stop: stopRequestsOf(process),
  parentPid: () => process.ppid,
  onSignal: (signal, listener) => {
    process.on(signal, listener);
    return () => void process.off(signal, listener);
  },
});
