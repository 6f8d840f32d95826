/** Every listener that we have, as a running program, under mutated messages. For longer: `npm run fuzz`. */
import { describe, test } from 'node:test';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const SEED = '20261121';
const MS = 1000;

describe(
  `a running program lives, serves, and lets go of what it held (seed ${SEED})`,
  { concurrency: 3 },
  () => {
    for (const name of Object.keys(targets)) {
      test(name, async (t) => {
        const { connections, messages } = await fuzz(t, name, { seed: SEED, ms: MS });
        t.diagnostic(`${connections} connections, ${messages} messages`);
      });
    }
  },
);
