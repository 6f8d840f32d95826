/**
 * `npm run bench [-- --quick] [--json] [--write] [--transport NAME]`: Postern against obfs4proxy, lyrebird
 * and a relay without any transport, each as a client and a server on loopback, in turns.
 *
 * Reads CPU time and memory of each process from the operating system; nothing passes or fails.
 * `--quick` measures a tenth, `--write` writes its section of docs/BENCHMARKS.md.
 */
import { compete, legend } from './contest.ts';
import { startTarget } from './load.ts';
import { measureStart, nothingMeasured } from './measure.ts';
import { options, progress } from './options.ts';
import { environment, environmentList, writePlot, writeSection } from './page.ts';
import { startPair } from './pair.ts';
import { drawBars } from './plot.ts';
import { bareRelay, peers, postern, type Program } from './programs.ts';
import { createRows, createStartRow, formatTable, type Plot, type Row } from './report.ts';

const STARTS = options.quick ? 4 : 20;

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

async function compare(transport: string): Promise<readonly Row[]> {
  const start = (program: Program) => () =>
    startPair(program, transport, target.endpoint, { serverProgram: serverOf(transport, program) });
  const measured = await compete(
    transport,
    Object.fromEntries(programs.map((program) => [program.name, start(program)])),
  );
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

/** The others have no server of scramblesuit: there the clients are compared, before ours. */
function onlyWeServe(transport: string): boolean {
  return transport === 'scramblesuit';
}

function serverOf(transport: string, program: Program): Program {
  return onlyWeServe(transport) && program !== bareRelay ? postern : program;
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
${legend}- *bare relay*: the floor. A Node program that joins sockets and does nothing to the bytes.
- The peers have no server of scramblesuit, so all clients are measured before Postern's; the pictures show
  the client alone there.
`;
}
