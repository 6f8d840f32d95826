/**
 * The lines of SIGNAL dump (TC 3.10): what stands at that moment, as log lines, which reach a controller as
 * log events. This is their stable form; docs/control.md shows it.
 *
 *     2 links, 3 circuits, 1 streams                 link to gate: 1 streams
 *     circuit 4 through gate, inner: 1 streams       stream 9 to example.com:80 is on circuit 4
 *     as a bridge: 2 links, 5 streams                stream 10 to example.com:80 waits for a circuit
 *     postern 0.2.0 (embedded) has run for 3723 s
 *
 * With `Engine tor` what Tor says stands behind the names: `OR connection …`, `circuit 4 BUILT …`,
 * `stream 9 to …: SUCCEEDED, circuit 4`.
 */

/** One line of a dump. */
export type DumpLine =
  | {
      readonly kind: 'counts';
      readonly links: number;
      readonly circuits: number;
      readonly streams: number;
    }
  | { readonly kind: 'link'; readonly name: string; readonly streams?: number }
  | {
      readonly kind: 'circuit';
      readonly id: number;
      readonly path: readonly string[];
      readonly streams?: number;
    }
  | {
      readonly kind: 'stream';
      readonly id: number;
      readonly target: string;
      /** Undefined for one that waits for a circuit. */
      readonly circuit: number | undefined;
    }
  | { readonly kind: 'bridge'; readonly links: number; readonly streams: number }
  /** The last line. */
  | {
      readonly kind: 'process';
      readonly version: string;
      readonly engine: string;
      readonly seconds: number;
    };

/** A line as the embedded engine writes it. */
export function formatDumpLine(line: DumpLine): string {
  switch (line.kind) {
    case 'counts':
      return `${line.links} links, ${line.circuits} circuits, ${line.streams} streams`;
    case 'link':
      return `link to ${line.name}: ${line.streams ?? 0} streams`;
    case 'circuit':
      return `circuit ${line.id} through ${line.path.join(', ')}: ${line.streams ?? 0} streams`;
    case 'stream': {
      const where =
        line.circuit === undefined ? 'waits for a circuit' : `is on circuit ${line.circuit}`;
      return `stream ${line.id} to ${line.target} ${where}`;
    }
    case 'bridge':
      return `as a bridge: ${line.links} links, ${line.streams} streams`;
    case 'process':
      return `postern ${line.version} (${line.engine}) has run for ${line.seconds} s`;
  }
}

/** What a log line says of what stands; undefined for any other line of a log. */
export function parseDumpLine(text: string): DumpLine | undefined {
  for (const [pattern, read] of forms) {
    const match = pattern.exec(text);
    if (match !== null) return read(match.slice(1) as string[]);
  }
  return undefined;
}

type Read = (fields: readonly string[]) => DumpLine;

const forms: readonly (readonly [RegExp, Read])[] = [
  [
    /^(\d+) (?:links|OR connections), (\d+) circuits, (\d+) streams$/,
    ([links, circuits, streams]) => ({
      kind: 'counts',
      links: Number(links),
      circuits: Number(circuits),
      streams: Number(streams),
    }),
  ],
  [
    /^link to (.+): (\d+) streams$/,
    ([name, streams]) => ({ kind: 'link', name: name!, streams: Number(streams) }),
  ],
  [/^OR connection (\S+) CONNECTED$/, ([name]) => ({ kind: 'link', name: name! })],
  [
    /^circuit (\d+) through (.+): (\d+) streams$/,
    ([id, path, streams]) => ({
      kind: 'circuit',
      id: Number(id),
      path: path!.split(', '),
      streams: Number(streams),
    }),
  ],
  [
    /^circuit (\d+) [A-Z_]+ ((?:\$[0-9A-F]{40}\S*)?)/,
    ([id, path]) => ({
      kind: 'circuit',
      id: Number(id),
      path: path === '' ? [] : path!.split(',').map((hop) => hop.replace(/^.*[~=]/, '')),
    }),
  ],
  [
    /^stream (\d+) to (.+?) (?:waits for a circuit|is on circuit (\d+))$/,
    ([id, target, circuit]) => ({
      kind: 'stream',
      id: Number(id),
      target: target!,
      circuit: circuit === undefined ? undefined : Number(circuit),
    }),
  ],
  [
    /^stream (\d+) to (.+): [A-Z_]+, circuit (\d+)$/,
    ([id, target, circuit]) => ({
      kind: 'stream',
      id: Number(id),
      target: target!,
      circuit: circuit === '0' ? undefined : Number(circuit),
    }),
  ],
  [
    /^as a bridge: (\d+) links, (\d+) streams$/,
    ([links, streams]) => ({ kind: 'bridge', links: Number(links), streams: Number(streams) }),
  ],
  [
    /^postern (\S+) \((\w+)\) has run for (\d+) s$/,
    ([version, engine, seconds]) => ({
      kind: 'process',
      version: version!,
      engine: engine!,
      seconds: Number(seconds),
    }),
  ],
];
