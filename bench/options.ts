/** What every program of the benchmark is told, and what it says meanwhile. */
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    transport: { type: 'string', multiple: true },
  },
});

/** The command line. */
export const options: {
  readonly quick: boolean;
  readonly json: boolean;
  readonly write: boolean;
  readonly transport?: string[];
} = values;

/** How much of the whole is measured. */
export const share: number = options.quick ? 0.1 : 1;

/** Says on stderr what is measured now, and since when the program runs. */
export function progress(text: string): void {
  process.stderr.write(`${performance.now().toFixed(0).slice(0, -3).padStart(4)} s  ${text}\n`);
}
