/**
 * `npm run test:interop [-- --mb N] [--handshakes N] [--write]`: every pairing with Debian's obfs4proxy
 * at full size, all at the same time, since `iat-mode` makes most of them wait. `--write` writes
 * docs/INTEROP.md.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { version } from '../src/version.ts';
import {
  nameOf,
  pairingMissing,
  pairings,
  runPairing,
  type Pairing,
  type PairingLoad,
  type PairingResult,
} from '../test/support/pairings.ts';
import { obfs4proxy } from '../test/support/pt-programs.ts';
import { packageRoot } from './paths.ts';

const { values: options } = parseArgs({
  options: {
    mb: { type: 'string', default: '64' },
    handshakes: { type: 'string', default: '200' },
    write: { type: 'boolean', default: false },
  },
});
const load: PairingLoad = {
  bytes: Number(options.mb) * 1_000_000,
  handshakes: Number(options.handshakes),
};

/** What unstable no longer gives, or nobody has fetched, is left out. */
const tried = pairings.filter((pairing) => pairingMissing(pairing) === false);
const cleanups: (() => void | Promise<void>)[] = [];
const results = new Map<Pairing, PairingResult>();
try {
  const cleanup = { after: (callback: () => void | Promise<void>) => void cleanups.push(callback) };
  await Promise.all(tried.map((pairing) => run(pairing)));

  async function run(pairing: Pairing): Promise<void> {
    const result = await runPairing(cleanup, pairing, load);
    results.set(pairing, result);
    const outcome = result.failures.length === 0 ? 'ok' : result.failures.join('; ');
    process.stdout.write(`${nameOf(pairing)}: ${result.seconds.toFixed(0)} s, ${outcome}\n`);
  }
} finally {
  await Promise.all(cleanups.map(async (callback) => callback()));
}
if ([...results.values()].some(({ failures }) => failures.length > 0)) process.exitCode = 1;
if (options.write) writeFileSync(join(packageRoot, 'docs', 'INTEROP.md'), document());

function document(): string {
  const rows = tried.map((pairing) => {
    const { seconds, failures } = results.get(pairing)!;
    return [
      pairing.client.name,
      pairing.server.name,
      pairing.transport,
      String(pairing.iatMode ?? ''),
      options.mb,
      options.handshakes,
      String(failures.length),
      seconds.toFixed(0),
    ];
  });
  const table = formatTable(
    [
      'client',
      'server',
      'transport',
      'iat-mode',
      'MB each way',
      'handshakes',
      'failures',
      'seconds',
    ],
    rows,
  );
  return `# Interoperability

Postern and Debian's obfs4proxy, both ways round, as managed processes over loopback. Made by

\`\`\`sh
npm run test:interop -- --write
\`\`\`

on ${new Date().toISOString().slice(0, 10)} with Postern ${version}, ${firstLine(obfs4proxy.command[0], '--version')}, Node ${process.version}
and Linux ${release()}.

${table}
- _MB each way_: on one connection, both directions at the same time, compared by SHA-256 at both ends.
- _handshakes_: further connections, four at a time, that carry a byte each way.
- _seconds_: all pairings run at the same time; with \`iat-mode\` 1 and 2 a write is followed by a pause
  of 5 ms on average, so the time is theirs by design.
- Every bridge has the same identity, whose length distribution holds no 0: obfs4proxy 0.0.14 panics
  on that with \`iat-mode\` 2. Its client draws from a distribution of its own until it has read the
  bridge's, so there the server's side speaks first. Postern draws again when it has drawn a 0.
- obfs4proxy has no server of scramblesuit, so both clients are before Postern's.
- obfs4proxy's client does not look at what comes together with a bridge's handshake, its own bridge's
  included, until more comes. A server that speaks first may so wait for ever; Postern's client has no such
  fault.

webtunnel, with its own programs and lyrebird: [what was tried](webtunnel.md#what-was-tried).

\`npm test\` does the same at a smaller size, and more: tor as the parent of both sides, state
directories that change hands, ssh and curl through the command, and what an observer of the wire can
tell apart.
`;
}

function firstLine(file: string, ...args: string[]): string {
  return execFileSync(file, args, { encoding: 'utf8' }).split('\n')[0]!;
}

function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => row[column]!.length)),
  );
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`;
  return (
    format(head) + format(widths.map((width) => '-'.repeat(width))) + rows.map(format).join('')
  );
}
