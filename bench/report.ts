/** What was measured, as rows with ratios and targets, and those as a table. */
import type { Measured, Sum } from './measure.ts';

/** One figure of every program. */
export interface Row {
  /** What was measured: a transport, or a kind of attack. */
  readonly subject: string;
  readonly figure: string;
  readonly unit: string;
  /** By program; without those that do not have it. */
  readonly values: Readonly<Record<string, number>>;
  /** What our value should not exceed, by program: as a share of that program's. */
  readonly targets?: Targets;
  /** What our value should not exceed, in the unit. */
  readonly limit?: number;
  /** The picture that it is drawn in. */
  readonly plot?: Plot;
}

type Targets = Readonly<Record<string, number>>;

/** Pictures, which are named after what they show. */
export type Plot = 'cpu-per-gb' | 'cpu-per-handshake' | 'memory';

/** What is to be reached, by subject. */
interface TransportTargets {
  readonly perGb?: Targets;
  readonly perHandshake?: Targets;
  readonly memory?: Targets;
  readonly roundTrip?: Targets;
}
const COMMON = {
  memory: { obfs4proxy: 0.12, lyrebird: 0.2 },
  roundTrip: { obfs4proxy: 1.05, lyrebird: 1.05 },
};
const TARGETS: Readonly<Record<string, TransportTargets>> = {
  obfs4: {
    ...COMMON,
    perGb: { obfs4proxy: 0.5, lyrebird: 0.45 },
    perHandshake: { obfs4proxy: 1, lyrebird: 1.1 },
  },
  obfs3: {
    ...COMMON,
    perGb: { obfs4proxy: 0.4, lyrebird: 0.72 },
    perHandshake: { obfs4proxy: 0.35 },
  },
  obfs2: { ...COMMON, perGb: { obfs4proxy: 0.45 }, perHandshake: { obfs4proxy: 1.4 } },
  scramblesuit: { ...COMMON, perGb: { obfs4proxy: 0.35 } },
  'webtunnel, plain': { perGb: { webtunnel: 1.5 }, memory: { webtunnel: 1 } },
};
const START_LIMIT_MS = 150;

type Side = 'client' | 'server';
const CPU_TIMES: readonly string[] = ['user', 'system'];

/**
 * The rows of one subject: a transport, and the way it is used where there are several.
 *
 * @param measured by program
 * @param sides the client alone where all clients had the same server
 */
export function createRows(
  subject: string,
  measured: Readonly<Record<string, Measured>>,
  sides: readonly Side[],
): readonly Row[] {
  const targets = TARGETS[subject] ?? {};
  const row = (
    figure: string,
    unit: string,
    valueOf: (measured: Measured) => number,
    targets?: Targets,
    plot?: Plot,
  ): Row => ({
    subject,
    figure,
    unit,
    values: mapValues(measured, valueOf),
    ...(targets && { targets }),
    ...(plot && { plot }),
  });
  const perGb = (sums: readonly Sum[], of: readonly Side[], names = CPU_TIMES): number =>
    1e9 * per(sums, of, names);
  const both = sides.length === 1 ? sides[0]! : 'both';
  return [
    row(
      `CPU per GB, ${both}`,
      's',
      (m) => perGb([m.up, m.down], sides),
      targets.perGb,
      'cpu-per-gb',
    ),
    row(`CPU per GB up, ${both}`, 's', (m) => perGb([m.up], sides), targets.perGb),
    row(`CPU per GB down, ${both}`, 's', (m) => perGb([m.down], sides), targets.perGb),
    ...(sides.length === 1 ? [] : sides).map((side) =>
      row(`CPU per GB, ${side}`, 's', (m) => perGb([m.up, m.down], [side])),
    ),
    ...CPU_TIMES.map((name) =>
      row(`${name} time per GB, ${both}`, 's', (m) => perGb([m.up, m.down], sides, [name])),
    ),
    ...sides.map((side) =>
      row(
        `CPU per handshake, ${side}`,
        'ms',
        (m) => 1e3 * per([m.handshakes], [side], CPU_TIMES),
        targets.perHandshake,
        'cpu-per-handshake',
      ),
    ),
    ...sides.map((side) =>
      row(
        `private memory per idle connection, ${side}`,
        'KiB',
        (m) => per([m.connections], [side], ['private']) / 1024,
        targets.memory,
        'memory',
      ),
    ),
    ...sides.map((side) =>
      row(
        `resident memory per idle connection, ${side}`,
        'KiB',
        (m) => per([m.connections], [side], ['resident']) / 1024,
      ),
    ),
    row('round trip of 64 bytes, median', 'ms', (m) => median(m.roundTripsMs), targets.roundTrip),
  ];
}

/** The row of what a start costs. */
export function createStartRow(measured: Readonly<Record<string, Measured>>): Row {
  return {
    subject: 'a start',
    figure: 'CPU until CMETHODS DONE, median',
    unit: 'ms',
    values: mapValues(measured, (m) => 1e3 * median(m.startsSeconds)),
    limit: START_LIMIT_MS,
  };
}

/** All readings of these names and sides, for one of whatever was done. */
function per(sums: readonly Sum[], sides: readonly Side[], names: readonly string[]): number {
  let total = 0;
  let amount = 0;
  for (const sum of sums) {
    amount += sum.amount;
    for (const side of sides) for (const name of names) total += sum[side][name] ?? NaN;
  }
  return total / amount;
}

/** The rows as a Markdown table, which reads well in a terminal too. The first program is ours. */
export function formatTable(
  rows: readonly Row[],
  [ours, ...others]: readonly string[],
  peers: readonly string[],
): string {
  const value = (row: Row, name: string): string => {
    const number = row.values[name];
    return number === undefined ? '' : `${digits(number)} ${row.unit}`.trimEnd();
  };
  const lines = [
    ['', 'figure', ours!, ...others, ...peers.map((peer) => `of ${peer}`)],
    ...rows.map((row) => [
      row.subject,
      row.figure,
      value(row, ours!) + verdict(row.values[ours!]!, row.limit, (limit) => `${limit} ${row.unit}`),
      ...others.map((name) => value(row, name)),
      ...peers.map((peer) => {
        const ratio = row.values[ours!]! / (row.values[peer] ?? NaN);
        if (!Number.isFinite(ratio)) return '';
        return (
          ratio.toFixed(2) + verdict(ratio, row.targets?.[peer], (target) => target.toFixed(2))
        );
      }),
    ]),
  ];
  return formatCells(lines);
}

function digits(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

/** Whether a target is reached, beside what it is. */
function verdict(
  value: number,
  target: number | undefined,
  format: (target: number) => string,
): string {
  if (target === undefined) return '';
  return value <= target ? ` <= ${format(target)}` : ` > ${format(target)}, missed`;
}

/** Lines of cells as a Markdown table, the first its head. */
export function formatCells(lines: readonly (readonly string[])[]): string {
  const [head, ...body] = lines;
  const widths = head!.map((_, column) =>
    Math.max(3, ...lines.map((line) => line[column]!.length)),
  );
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`;
  const rule = format(widths.map((width) => '-'.repeat(width)));
  return format(head!) + rule + body.map(format).join('');
}

function mapValues<T>(
  record: Readonly<Record<string, T>>,
  valueOf: (value: T) => number,
): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, valueOf(value)]));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
