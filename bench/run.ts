/**
 * `npm run bench [-- --quick] [--json] [--write] [--transport NAME]`: Postern against obfs4proxy, lyrebird
 * and a relay without any transport, each as a client and a server on loopback, in turns.
 *
 * Reads CPU time and memory of each process from the operating system; nothing passes or fails.
 * `--quick` measures a tenth, `--write` writes its section of docs/BENCHMARKS.md.
 */
import { startTarget } from './load.ts';
import {
  measureHandshakes,
  measureMemory,
  measureRoundTrips,
  measureStart,
  measureTransfer,
  nothingMeasured,
  type Measured,
  type Measurement,
} from './measure.ts';
import { options, progress, share } from './options.ts';
import { environment, environmentList, writePlot, writeSection } from './page.ts';
import { startPair, type Pair } from './pair.ts';
import { drawBars } from './plot.ts';
import { bareRelay, peers, postern, type Program } from './programs.ts';
import { createRows, createStartRow, formatTable, type Plot, type Row } from './report.ts';

/** Even, so that each program comes as often first as last. */
const ROUNDS = options.quick ? 2 : 4;
const TRANSFER_BYTES: number = 2e9 * share;
const HANDSHAKES: number = 2000 * share;
const ROUND_TRIPS: number = 10_000 * share;
const IDLE_CONNECTIONS = options.quick ? 200 : 1000;
const STARTS = options.quick ? 4 : 20;
/**
 * Before anything is counted: what the just-in-time compiler needs to know the code, half of the bytes
 * up, half down. The quick form shows that the benchmark works, not how fast anything is.
 */
const WARM_UP = { bytes: 5e8 * share, handshakes: 1500 * share, roundTrips: 1000 * share };

const programs: readonly Program[] = [postern, ...peers, bareRelay];
const PLOTS: Readonly<Record<Plot, string>> = {
  'cpu-per-gb': 'CPU for 10^9 bytes, both ends',
  'cpu-per-handshake': 'CPU for a connection that is opened and closed, both ends',
  memory: 'Private memory of an idle connection, both ends',
};
const names = programs.map(({ name }) => name);

const target = await startTarget();
const rows: Row[] = [];
try {
  const transports = options.transport ?? ['obfs4', 'scramblesuit', 'obfs3', 'obfs2'];
  for (const transport of transports) rows.push(...(await compare(transport)));
  rows.push(await compareStarts());
} finally {
  target.stop();
}
const table = formatTable(rows, names, names.slice(1, -1));
if (options.write) {
  writePlots();
  writeSection('Transports', section(table));
}
process.stdout.write(
  options.json ? `${JSON.stringify({ ...environment(), rows }, null, 2)}\n` : table,
);

/** All programs in turns, there and back, so that whatever else the machine does hits all. */
async function compare(transport: string): Promise<readonly Row[]> {
  const measured: Readonly<Record<string, Measured>> = Object.fromEntries(
    names.map((name) => [name, nothingMeasured()]),
  );
  await withPairs(transport, async (pairs) => {
    const inTurns = async (what: string, measure: Measurement, amount: number): Promise<void> => {
      progress(`${transport}: ${what}`);
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const pair of round % 2 === 0 ? pairs : pairs.toReversed()) {
          await measure(pair, measured[pair.program.name]!, amount / ROUNDS);
        }
      }
    };
    progress(`${transport}: warming up`);
    for (const pair of pairs) await warmUp(pair);
    await inTurns('transfers', measureTransfer, TRANSFER_BYTES);
    await inTurns('handshakes', measureHandshakes, HANDSHAKES);
    await inTurns('round trips', measureRoundTrips, ROUND_TRIPS);
  });
  // In fresh processes: what the transfers left behind would hide what connections take.
  await withPairs(transport, async (pairs) => {
    progress(`${transport}: memory`);
    await Promise.all(
      pairs.map((pair) => measureMemory(pair, measured[pair.program.name]!, IDLE_CONNECTIONS)),
    );
  });
  return createRows(
    transport,
    measured,
    onlyWeServe(transport) ? ['client'] : ['client', 'server'],
  );
}

async function compareStarts(): Promise<Row> {
  progress('starts');
  const measured = Object.fromEntries(names.map((name) => [name, nothingMeasured()]));
  for (let start = 0; start < STARTS; start += 1) {
    for (const program of programs) await measureStart(program, measured[program.name]!);
  }
  return createStartRow(measured);
}

/** Runs a pair of each program as long as `work` takes. */
async function withPairs(
  transport: string,
  work: (pairs: readonly Pair[]) => Promise<void>,
): Promise<void> {
  const pairs: Pair[] = [];
  try {
    for (const program of programs) {
      pairs.push(
        await startPair(program, transport, target.endpoint, serverOf(transport, program)),
      );
    }
    await work(pairs);
  } finally {
    for (const pair of pairs) pair.stop();
  }
}

/** The others have no server of scramblesuit: there the clients are compared, before ours. */
function onlyWeServe(transport: string): boolean {
  return transport === 'scramblesuit';
}

function serverOf(transport: string, program: Program): Program {
  return onlyWeServe(transport) && program !== bareRelay ? postern : program;
}

async function warmUp(pair: Pair): Promise<void> {
  const discarded = nothingMeasured();
  await measureTransfer(pair, discarded, WARM_UP.bytes);
  await measureHandshakes(pair, discarded, WARM_UP.handshakes);
  await measureRoundTrips(pair, discarded, WARM_UP.roundTrips);
}

/** A bar for each program and transport; where there are two sides, they are added up. */
function writePlots(): void {
  for (const [name, title] of Object.entries(PLOTS)) {
    const drawn = rows.filter(({ plot }) => plot === name);
    const subjects = [...new Set(drawn.map(({ subject }) => subject))];
    const groups = subjects.map((label) => {
      const sides = drawn.filter(({ subject }) => subject === label);
      const sum = (program: string): number =>
        sides.reduce((total, { values }) => total + values[program]!, 0);
      return { label, values: Object.fromEntries(names.map((program) => [program, sum(program)])) };
    });
    writePlot(name, drawBars(title, drawn[0]!.unit, groups, names));
  }
}

function section(table: string): string {
  const plots = Object.entries(PLOTS)
    .map(([name, title]) => `![${title}](benchmarks/${name}.svg)\n`)
    .join('\n');
  return `Each is a client and a server. A ratio below 1 is in Postern's favour. Measured on

${environmentList()}
${plots}
${table}
- *CPU per GB*: user and system time for 10^9 bytes, half of them up, half down, after ${WARM_UP.bytes / 2e6} MB each
  way that are not counted.
- *CPU per handshake*: a SOCKS request, the transport's handshake, one byte each way, the close.
- *memory per idle connection*: what a process that has just started grows by with ${IDLE_CONNECTIONS} connections
  open; *private* is what it alone has and has written to, *resident* is all that is mapped in.
- *round trip*: 64 bytes to an echo behind the server, one after another.
- *bare relay*: the floor. A Node program that joins sockets and does nothing to the bytes.
- The peers have no server of scramblesuit, so all clients are measured before Postern's; the pictures show
  the client alone there.
`;
}
