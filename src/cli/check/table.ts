/** Reports of `postern check` for people: a table, then the failures and notes, line by line. */
import { describeClock } from '../../check/judge.ts';
import type { BridgeReport, StepName } from '../../check/report.ts';
import { formatTable } from '../table.ts';

/** A report, and the address where it is to be shown. */
interface Row extends BridgeReport {
  readonly address?: string;
}

const columns: readonly StepName[] = [
  'program',
  'lookup',
  'proxy',
  'tcp',
  'connect',
  'https',
  'handshake',
  'tls',
  'link',
  'traffic',
];

/** @param clockAheadMs how far this machine's clock is ahead, where it was compared */
export function formatReports(rows: readonly Row[], clockAheadMs: number | undefined): string {
  const used = columns.filter((name) =>
    rows.some(({ steps, failure }) => failure?.step === name || timeOf(steps, name) !== undefined),
  );
  const hasAddress = rows.some(({ address }) => address !== undefined);
  const hasRoundTrip = rows.some(({ roundTripMs }) => roundTripMs !== undefined);
  const head = [
    'line',
    'transport',
    ...(hasAddress ? ['address'] : []),
    'outcome',
    ...used,
    ...(hasRoundTrip ? ['round trip'] : []),
  ];
  const body = rows.map((row) => [
    String(row.index + 1),
    row.transport ?? '-',
    ...(hasAddress ? [row.address ?? '-'] : []),
    row.outcome === 'unwell' ? 'NOT WELL' : row.outcome,
    ...used.map((name) => cell(row, name)),
    ...(hasRoundTrip ? [formatMs(row.roundTripMs)] : []),
  ]);
  return [formatTable([head, ...body]), ...formatClock(clockAheadMs), ...formatMore(rows)]
    .join('\n')
    .replace(/\n*$/, '\n');
}

function cell({ steps, failure }: Row, name: StepName): string {
  return failure?.step === name && timeOf(steps, name) === undefined
    ? 'failed'
    : formatMs(timeOf(steps, name));
}

function timeOf(steps: BridgeReport['steps'], name: StepName): number | undefined {
  return steps.find((step) => step.name === name)?.ms;
}

function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

function formatClock(clockAheadMs: number | undefined): readonly string[] {
  if (clockAheadMs === undefined) return [];
  const isNear = Math.abs(clockAheadMs) < NEAR_MS;
  return [`Clock: ${isNear ? 'right to the minute' : describeClock(clockAheadMs)}.\n`];
}

const NEAR_MS = 60_000;

/** The same text for several lines is printed once. */
function formatMore(rows: readonly Row[]): readonly string[] {
  const numbers = new Map<string, number[]>();
  for (const row of rows) {
    const text = wordsAbout(row).join('\n  ');
    if (text !== '') numbers.set(text, [...(numbers.get(text) ?? []), row.index + 1]);
  }
  return [...numbers].map(
    ([text, found]) => `${found.length === 1 ? 'Line' : 'Lines'} ${found.join(', ')}: ${text}\n`,
  );
}

function wordsAbout({ failure, notes, tor }: Row): readonly string[] {
  return [
    ...(failure === undefined
      ? []
      : [
          `${failure.message}${failure.code === undefined ? '' : ` (${failure.code})`}`,
          ...failure.meanings.map((meaning) => `  It may be: ${meaning}`),
          `  What to do: ${failure.advice}`,
        ]),
    ...(tor?.isNamed === true ? ['the Tor behind it is the one of the fingerprint.'] : []),
    ...notes.map((note) => `Note: ${note}.`),
  ];
}
