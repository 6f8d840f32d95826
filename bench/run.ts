/**
 * `npm run bench [-- --quick] [--json] [--write] [--transport NAME]`: Postern against Debian's
 * obfs4proxy, each as a client and a server on loopback, in turns.
 *
 * Reads CPU time and memory of each process from the operating system; nothing passes or fails.
 * `--quick` measures a tenth, `--write` writes its section of docs/BENCHMARKS.md.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../scripts/paths.ts';
import { startTarget } from './load.ts';
import {
  measureHandshakes,
  measureMemory,
  measureRoundTrips,
  measureTransfer,
  nothingMeasured,
  type Measured,
} from './measure.ts';
import { startPair, type Pair, type Program } from './pair.ts';
import { environment, environmentList, writeSection } from './page.ts';
import { createRows, formatTable, type Row } from './report.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    transport: {
      type: 'string',
      multiple: true,
      default: ['obfs4', 'scramblesuit', 'obfs3', 'obfs2'],
    },
  },
});

const share = options.quick ? 0.1 : 1;
const ROUNDS = options.quick ? 2 : 5;
const TRANSFER_BYTES: number = 2e9 * share;
const HANDSHAKES: number = 2000 * share;
const ROUND_TRIPS: number = 10_000 * share;
const IDLE_CONNECTIONS = options.quick ? 200 : 1000;
/** Before anything is counted: what the just-in-time compiler needs to know the code. */
const WARM_UP = { bytes: 4e8, handshakes: 1500, roundTrips: 1000 };

const postern: Program = { name: 'postern', command: [join(packageRoot, 'bin', 'postern')] };
const obfs4proxy: Program = { name: 'obfs4proxy', command: ['obfs4proxy'] };
const programs = [postern, obfs4proxy];

const target = await startTarget();
const rows: Row[] = [];
try {
  for (const transport of options.transport) rows.push(...(await compare(transport)));
} finally {
  target.stop();
}
const table = formatTable(rows, postern.name, obfs4proxy.name);
if (options.write) writeSection('Transports', section(table));
process.stdout.write(
  options.json ? `${JSON.stringify({ ...environment(), rows }, null, 2)}\n` : table,
);

/** Both programs in turns, so that whatever else the machine does hits both. */
async function compare(transport: string): Promise<readonly Row[]> {
  const measured = programs.map(() => nothingMeasured());
  await withPairs(transport, async (pairs) => {
    const inTurns = async (
      what: (pair: Pair, into: Measured, amount: number) => Promise<void>,
      amount: number,
    ): Promise<void> => {
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const [index, pair] of pairs.entries()) {
          await what(pair, measured[index]!, amount / ROUNDS);
        }
      }
    };
    progress(`${transport}: warming up`);
    for (const pair of pairs) await warmUp(pair);
    progress(`${transport}: transfers`);
    await inTurns(measureTransfer, TRANSFER_BYTES);
    progress(`${transport}: handshakes`);
    await inTurns(measureHandshakes, HANDSHAKES);
    progress(`${transport}: round trips`);
    await inTurns(measureRoundTrips, ROUND_TRIPS);
  });
  // In fresh processes: what the transfers left behind would hide what connections take.
  await withPairs(transport, async (pairs) => {
    progress(`${transport}: memory`);
    for (const [index, pair] of pairs.entries()) {
      await measureMemory(pair, measured[index]!, IDLE_CONNECTIONS);
    }
  });
  return createRows(transport, measured[0]!, measured[1]!, onlyWeServe(transport));
}

/** Runs a pair of each program as long as `work` takes. */
async function withPairs(
  transport: string,
  work: (pairs: readonly Pair[]) => Promise<void>,
): Promise<void> {
  const pairs: Pair[] = [];
  try {
    for (const program of programs) {
      const server = onlyWeServe(transport) ? postern : program;
      pairs.push(await startPair(program, transport, target.endpoint, server));
    }
    await work(pairs);
  } finally {
    for (const pair of pairs) pair.stop();
  }
}

/** obfs4proxy has no server of scramblesuit: there the clients are compared, before ours. */
function onlyWeServe(transport: string): boolean {
  return transport === 'scramblesuit';
}

async function warmUp(pair: Pair): Promise<void> {
  const discarded = nothingMeasured();
  await measureTransfer(pair, discarded, WARM_UP.bytes);
  await measureHandshakes(pair, discarded, WARM_UP.handshakes);
  await measureRoundTrips(pair, discarded, WARM_UP.roundTrips);
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

function section(table: string): string {
  return `Each is a client and a server. A ratio below 1 is in Postern's favour. Measured on

${environmentList()}
${table}
- *CPU per GB*: user and system time for 10^9 bytes, half of them up, half down.
- *CPU per handshake*: a SOCKS request, the transport's handshake, one byte each way, the close.
- *memory per idle connection*: what a process that has just started grows by (proportional set size)
  with ${IDLE_CONNECTIONS} connections open.
- *round trip*: 64 bytes to an echo behind the server, one after another.
- obfs4proxy has no server of scramblesuit, so both clients are measured before Postern's.
`;
}
