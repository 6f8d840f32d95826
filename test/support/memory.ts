import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What JavaScript holds on to, its buffers included, in bytes. */
export function measureMemory(): number {
  collectGarbage();
  // The memory of dead buffers is freed behind our back, until the next collection at the latest.
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** The same, when nothing more is given back: some of it takes turns of the event loop. */
export async function measureSettledMemory(): Promise<number> {
  let least = Infinity;
  for (;;) {
    await setImmediate();
    const bytes = measureMemory();
    if (bytes >= least) return least;
    least = bytes;
  }
}
