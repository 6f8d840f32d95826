/** The process: hands the world to the command and keeps its exit code. */
import { runConform } from './program.ts';

const { argv, env, stdout, stderr } = process;
const stop = new AbortController();
// The second one ends the process; the guard then cleans up after it.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());

// What stands if the examination never ends, and yet nothing is left that could go on.
process.exitCode = 1;
process.exitCode = await runConform({
  args: argv.slice(2),
  env,
  stdout,
  stderr,
  signal: stop.signal,
});
