/** What was measured, as rows with ratios and targets, and those as text, Markdown and JSON. */
import type { Measured } from './measure.ts';

/** One figure of both programs. */
export interface Row {
  readonly transport: string;
  readonly figure: string;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  /** Ours divided by theirs: less is better for us. */
  readonly ratio: number;
  /** What the ratio should not exceed; undefined where no target was set. */
  readonly target: number | undefined;
}

/** What ratios are to be reached, by transport. */
interface Targets {
  readonly bothPerGb?: number;
  readonly perGb?: number;
  readonly perHandshake?: number;
  readonly memory?: number;
  readonly roundTrip?: number;
}
const COMMON = { bothPerGb: 0.65, perGb: 0.75, memory: 0.3, roundTrip: 1.1 };
const TARGETS: Readonly<Record<string, Targets>> = {
  obfs4: { ...COMMON, perHandshake: 1 },
  obfs3: { ...COMMON, perHandshake: 0.6 },
  obfs2: { bothPerGb: 0.65 },
  scramblesuit: { perGb: 0.75 },
};

/**
 * The rows of one transport.
 *
 * @param sameServer both clients had one program's server, so that only clients can be compared
 */
export function createRows(
  transport: string,
  ours: Measured,
  theirs: Measured,
  sameServer: boolean,
): readonly Row[] {
  const row = (
    figure: string,
    unit: string,
    target: number | undefined,
    value: (measured: Measured) => number,
  ): Row => {
    const [a, b] = [value(ours), value(theirs)];
    return { transport, figure, unit, ours: a, theirs: b, ratio: a / b, target };
  };
  const sides = sameServer ? (['client'] as const) : (['client', 'server'] as const);
  const perGb = (cpu: number, { bytes }: Measured): number => cpu / (bytes / 1e9);
  const targets = TARGETS[transport] ?? {};
  const both = row('CPU per GB, both', 's', targets.bothPerGb, (m) =>
    perGb(m.cpu.client + m.cpu.server, m),
  );
  return [
    ...(sameServer ? [] : [both]),
    ...sides.map((side) =>
      row(`CPU per GB, ${side}`, 's', targets.perGb, (m) => perGb(m.cpu[side], m)),
    ),
    ...sides.map((side) =>
      row(
        `CPU per handshake, ${side}`,
        'ms',
        targets.perHandshake,
        (m) => (1000 * m.handshakeCpu[side]) / m.handshakes,
      ),
    ),
    ...sides.map((side) =>
      row(
        `memory per idle connection, ${side}`,
        'KiB',
        targets.memory,
        (m) => m.memory[side] / m.connections / 1024,
      ),
    ),
    row('round trip of 64 bytes, median', 'ms', targets.roundTrip, (m) => median(m.roundTripsMs)),
  ];
}

/** The rows as a Markdown table, which reads well in a terminal too. */
export function formatTable(rows: readonly Row[], ours: string, theirs: string): string {
  const lines = [
    ['transport', 'figure', ours, theirs, 'ratio', 'target', 'reached'],
    ...rows.map((row) => [
      row.transport,
      row.figure,
      `${digits(row.ours)} ${row.unit}`,
      `${digits(row.theirs)} ${row.unit}`,
      Number.isFinite(row.ratio) ? row.ratio.toFixed(2) : '',
      row.target === undefined ? '' : `<= ${row.target.toFixed(2)}`,
      row.target === undefined ? '' : row.ratio <= row.target ? 'yes' : 'no',
    ]),
  ];
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length)),
  );
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`;
  const rule = format(widths.map((width) => '-'.repeat(width)));
  const [head, ...body] = lines;
  return format(head!) + rule + body.map(format).join('');
}

function digits(value: number): string {
  return value.toPrecision(3);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
