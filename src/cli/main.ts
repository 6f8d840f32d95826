/** The process: hands the world to the command and keeps its exit code. */
import './small-heap.ts';
import { runCommand } from './program.ts';
import { stopRequestsOf } from './stop-requests.ts';

// That nobody reads what is said is no reason to stop serving.
process.stderr.on('error', () => {});

process.exitCode = await runCommand({
  args: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  stop: stopRequestsOf(process, process.stdout),
  parentPid: () => process.ppid,
});
