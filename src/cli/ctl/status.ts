/** `postern ctl status`: one screen of what runs. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseDumpLine, type DumpLine } from '../../control/dump.ts';
import { type AddressMapping, type ConfEntry, ControlRefusal } from '../../control/messages.ts';
import type { ControlClient } from '../../control/node/client.ts';
import { formatTable } from '../table.ts';

/** What `status` tells, as `--json` prints it. */
export interface DaemonStatus {
  readonly lines: readonly DumpLine[];
  readonly options: readonly ConfEntry[];
  readonly mappings: readonly AddressMapping[];
}

const optionKeys = ['Nickname', 'SocksPort', 'HTTPTunnelPort', 'ORPort', 'UseBridges'];

/** Asks for a dump, whose lines come as log events before its reply, and for the rest. */
export async function readStatus(
  client: ControlClient,
  signal: AbortSignal,
): Promise<DaemonStatus> {
  const lines: DumpLine[] = [];
  const over = new AbortController();
  const events = client.events({ signal: AbortSignal.any([signal, over.signal]) });
  const reading = (async () => {
    for await (const event of events) {
      const line = event.type === 'log' ? parseDumpLine(event.message) : undefined;
      if (line !== undefined) lines.push(line);
    }
  })().catch(() => {});
  await client.setEvents(['log'], { signal });
  await client.sendSignal('dump', { signal });
  const options = await client.getConf(optionKeys, { signal }).catch((error: unknown) => {
    if (error instanceof ControlRefusal) return [];
    throw error;
  });
  const mappings = await client.mappings({ signal });
  // Reads what came before these replies first.
  await nextTurn();
  over.abort();
  await reading;
  return { lines, options, mappings };
}

/** The same for people: the totals, and the first few of each kind. */
export function formatStatus({ lines, options, mappings }: DaemonStatus): string {
  const of = <Kind extends DumpLine['kind']>(kind: Kind): Extract<DumpLine, { kind: Kind }>[] =>
    lines.filter((line): line is Extract<DumpLine, { kind: Kind }> => line.kind === kind);
  const [process] = of('process');
  const [counts] = of('counts');
  const [bridge] = of('bridge');
  const head = [
    ...(process === undefined
      ? []
      : [
          ['postern', `${process.version}, engine ${process.engine}`],
          ['running for', formatSeconds(process.seconds)],
        ]),
    ...options
      .filter(({ value }) => value !== '' && value !== '0')
      .map(({ key, value }) => [key, value]),
    ...(counts === undefined
      ? []
      : [
          [
            'client',
            `${counts.links} links, ${counts.circuits} circuits, ${counts.streams} streams`,
          ],
        ]),
    ...(bridge === undefined
      ? []
      : [['bridge', `${bridge.links} links, ${bridge.streams} streams`]]),
    ['mappings', String(mappings.length)],
  ];
  const withStreams = (streams: number | undefined): string =>
    streams === undefined ? '' : `${streams} streams`;
  return [
    formatTable(head),
    ...section('link', of('link'), ({ name, streams }) => [name, withStreams(streams)]),
    ...section('circuit', of('circuit'), ({ id, path, streams }) => [
      String(id),
      path.join(', '),
      withStreams(streams),
    ]),
    ...section('stream', of('stream'), ({ id, target, circuit }) => [
      String(id),
      target,
      circuit === undefined ? 'waits for a circuit' : `circuit ${circuit}`,
    ]),
  ].join('\n');
}

/** A screen has 24 lines. */
const ROWS = 5;

function section<Line>(
  name: string,
  lines: readonly Line[],
  cellsOf: (line: Line) => readonly string[],
): readonly string[] {
  if (lines.length === 0) return [];
  const rest = lines.length - ROWS;
  const rows = lines.slice(0, ROWS).map((line) => [name, ...cellsOf(line)]);
  return [formatTable(rest > 0 ? [...rows, ['', `and ${rest} more`]] : rows)];
}

/** `1 d 2 h 3 min`, `12 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  const parts = [
    [Math.floor(minutes / 1440), 'd'],
    [Math.floor(minutes / 60) % 24, 'h'],
    [minutes % 60, 'min'],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}
