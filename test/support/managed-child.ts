/** A PT program for tests that need a process of its own: the managed proxy with `rot`. */
import { runManagedProxy } from '../../src/proxy/run.ts';
import { TransportRegistry } from '../../src/transports/registry.ts';
import { createRot } from './test-transport.ts';

process.exitCode = await runManagedProxy({
  registry: new TransportRegistry([createRot()]),
  ...(process.env['TEST_LOG_FILE'] !== undefined && { logFile: process.env['TEST_LOG_FILE'] }),
});
