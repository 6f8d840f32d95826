/**
 * `npm run fuzz -- [--minutes N] [--messages N] [--seed S] [--only NAME]`: mutated messages at every listener
 * that we have, each a running program, one after the other, for so long each. What a seed found it finds
 * again, though not at the same moment.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { fuzz } from '../test/fuzz/fuzz.ts';
import { targets } from '../test/fuzz/targets.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string' },
    messages: { type: 'string' },
    seed: { type: 'string', default: String(randomInt(1e9)) },
    only: { type: 'string', multiple: true, default: Object.keys(targets) },
  },
});
const minutes = Number(options.minutes ?? (options.messages === undefined ? 1 : Infinity));
const messages = Number(options.messages ?? Infinity);
const names = options.only.filter((name) => name in targets);
if (!(minutes > 0) || !(messages > 0) || names.length < options.only.length) {
  process.stderr.write(`Numbers above 0, and names of ${Object.keys(targets).join(', ')}\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(`seed ${options.seed}\n`);
  for (const name of names) await run(name);
}

async function run(name: string): Promise<void> {
  const cleanups: (() => void | Promise<void>)[] = [];
  const cleanup = { after: (callback: () => void | Promise<void>) => void cleanups.push(callback) };
  const startMs = performance.now();
  try {
    const report = await fuzz(cleanup, name, {
      seed: options.seed,
      ms: minutes * 60_000,
      messages,
    });
    const { connections, served, before, after } = report;
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    process.stdout.write(
      `${name}: ${report.messages} messages on ${connections} connections in ${seconds} s, ${served} good ` +
        `clients served; memory ${mb(before.memoryBytes)} MB before, ${mb(after.memoryBytes)} MB after; ` +
        `${before.files} and ${after.files} open files\n`,
    );
  } catch (error) {
    process.stdout.write(`${name}: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  } finally {
    for (const callback of cleanups.toReversed()) await callback();
  }
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
