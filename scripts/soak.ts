/**
 * `npm run soak -- [--minutes N] [--connections N] [--seed S] [--transport NAME]`: connections that come, go,
 * pause and break at random on both sides of a client and a bridge; every byte is checked, and memory and
 * descriptors must be flat at the end. What a seed found it finds again, though not at the same moment.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { soak } from '../test/soak/soak.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    connections: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(randomInt(1e9)) },
    transport: { type: 'string', multiple: true, default: ['obfs4'] },
  },
});
/** Of what there was early: a heap breathes. */
const FLAT = 1.25;

process.stdout.write(`seed ${options.seed}\n`);
for (const transport of options.transport) await run(transport);

async function run(transport: string): Promise<void> {
  const cleanups: (() => void | Promise<void>)[] = [];
  const cleanup = { after: (callback: () => void | Promise<void>) => void cleanups.push(callback) };
  try {
    const { conversations, processes } = await soak(cleanup, {
      transport,
      ms: Number(options.minutes) * 60_000,
      connections: Number(options.connections),
      seed: options.seed,
    });
    process.stdout.write(
      `${transport}: ${conversations} conversations, every byte as it was sent\n`,
    );
    for (const { name, descriptors, memory } of processes) {
      const [early, late] = memory.map((bytes) => Math.round(bytes / 1e6));
      const isFlat = descriptors[1] <= descriptors[0] && memory[1] <= FLAT * memory[0];
      if (!isFlat) process.exitCode = 1;
      process.stdout.write(
        `  ${name}: ${descriptors.join(' → ')} descriptors, ${early} → ${late} MB: ` +
          `${isFlat ? 'flat' : 'NOT FLAT'}\n`,
      );
    }
  } catch (error) {
    process.exitCode = 1;
    process.stdout.write(`${transport}: ${(error as Error).message}\n`);
  } finally {
    for (const callback of cleanups.toReversed()) await callback();
  }
}
