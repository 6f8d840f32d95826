/** A PT program for tests that need a process of its own: the managed proxy with `rot`. */
import { runManagedProxy } from '../../src/proxy/run.ts';
import { TransportRegistry } from '../../src/transports/registry.ts';
import { createRot } from './test-transport.ts';

const drain = new AbortController();
const now = new AbortController();
process.on('SIGINT', () => (drain.signal.aborted ? now : drain).abort());
process.on('SIGTERM', () => now.abort());

process.exitCode = await runManagedProxy({
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  registry: new TransportRegistry([createRot()]),
  drain: drain.signal,
  now: now.signal,
  parentPid: () => process.ppid,
  ...(process.env['TEST_LOG_FILE'] !== undefined && { logFile: process.env['TEST_LOG_FILE'] }),
});
