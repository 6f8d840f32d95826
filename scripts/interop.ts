/**
 * `npm run test:interop [-- --mb N] [--handshakes N] [--write]`: every pairing with Debian's obfs4proxy and with
 * lyrebird at full size, one after another, but those that `iat-mode` makes wait all at the same time; then those of
 * webtunnel, in the network of scripts/webtunnel-network.sh. `--write` writes docs/INTEROP.md.
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
import { type Cleanup, obfs4proxy } from '../test/support/pt-programs.ts';
import {
  makeAuthority,
  nameOfPair,
  pairMissing,
  placeMissing,
  runWebtunnelPair,
  type WebtunnelPair,
  webtunnelPairs,
  whereOf,
} from '../test/support/webtunnel.ts';
import { temporaryDirectory } from '../test/support/managed.ts';
import { fetchedVersions } from './find-program.ts';
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

if (options.write && (placeMissing !== false || fetchedVersions().length === 0)) {
  // Rather now than behind half an hour of pairings.
  throw new Error(
    'the page has all peers: scripts/debian-peers.sh, then scripts/webtunnel-network.sh npm run test:interop -- --write',
  );
}
/** What unstable no longer gives, or nobody has fetched, is left out. */
const tried = pairings.filter((pairing) => pairingMissing(pairing) === false);
const triedWebtunnel =
  placeMissing === false ? webtunnelPairs.filter((pair) => pairMissing(pair) === false) : [];
const results = new Map<Pairing | WebtunnelPair, PairingResult>();
const tryPairing = (pairing: Pairing): Promise<void> =>
  run(pairing, nameOf(pairing), (t) => runPairing(t, pairing, load));
// On a machine that is busy with all of them obfs4proxy and lyrebird give applications up: SOCKS has 5 s.
for (const pairing of tried.filter((each) => !isSlow(each))) await tryPairing(pairing);
await Promise.all(tried.filter(isSlow).map(tryPairing));
await cleaningUp(async (t) => {
  if (triedWebtunnel.length === 0) return;
  const authority = makeAuthority(temporaryDirectory(t));
  for (const pair of triedWebtunnel) {
    await run(pair, nameOfPair(pair), (own) => runWebtunnelPair(own, pair, authority, load));
  }
});
if ([...results.values()].some(({ failures }) => failures.length > 0)) process.exitCode = 1;

/** Whether its time is spent on waiting. */
function isSlow({ iatMode = 0 }: Pairing): boolean {
  return iatMode > 0;
}

async function run(
  pairing: Pairing | WebtunnelPair,
  name: string,
  work: (t: Cleanup) => Promise<PairingResult>,
): Promise<void> {
  const result = await cleaningUp(work);
  results.set(pairing, result);
  const outcome = result.failures.length === 0 ? 'ok' : result.failures.join('; ');
  process.stdout.write(`${name}: ${result.seconds.toFixed(0)} s, ${outcome}\n`);
}

async function cleaningUp<T>(work: (t: Cleanup) => Promise<T>): Promise<T> {
  const cleanups: (() => void | Promise<void>)[] = [];
  try {
    return await work({ after: (callback) => void cleanups.push(callback) });
  } finally {
    await Promise.all(cleanups.map(async (callback) => callback()));
  }
}
if (options.write) writeFileSync(join(packageRoot, 'docs', 'INTEROP.md'), document());

function document(): string {
  const done = (pairing: Pairing | WebtunnelPair): readonly string[] => {
    const { seconds, failures } = results.get(pairing)!;
    return [options.mb, options.handshakes, String(failures.length), seconds.toFixed(0)];
  };
  const doneHead = ['MB each way', 'handshakes', 'failures', 'seconds'];
  const table = formatTable(
    ['client', 'server', 'transport', 'iat-mode', 'padding', ...doneHead],
    tried.map((pairing) => [
      pairing.client.name,
      pairing.server.name,
      pairing.transport,
      String(pairing.iatMode ?? ''),
      pairing.isPrintable ? 'printable' : '',
      ...done(pairing),
    ]),
  );
  const webtunnelTable = formatTable(
    ['client', 'server', 'where', ...doneHead],
    triedWebtunnel.map((pair) => [
      pair.client.name,
      pair.server.name,
      whereOf(pair),
      ...done(pair),
    ]),
  );
  return `# Interoperability

Postern, Debian's obfs4proxy, lyrebird and webtunnel's own programs, both ways round, as managed processes. Made by

\`\`\`sh
scripts/debian-peers.sh
scripts/webtunnel-network.sh npm run test:interop -- --write
\`\`\`

on ${new Date().toISOString().slice(0, 10)} with Postern ${version}, ${firstLine(obfs4proxy.command[0], '--version')}, ${fetchedVersions().join(', ')}, Node ${process.version}
and Linux ${release()}.

${table}
- _MB each way_: on one connection, both directions at the same time, compared by SHA-256 at both ends.
- _handshakes_: further connections, four at a time, that carry a byte each way.
- _seconds_: with \`iat-mode\` 1 and 2, which all run at the same time, a write is followed by a pause of 5 ms
  on average, so the time is theirs by design.
- Every bridge has the same identity, whose length distribution holds no 0: obfs4proxy 0.0.14 panics
  on that with \`iat-mode\` 2. Its client draws from a distribution of its own until it has read the
  bridge's, so there the server's side speaks first. Postern draws again when it has drawn a 0.
- obfs4proxy and lyrebird have no server of scramblesuit, so all clients are before Postern's.
- obfs4proxy's client does not look at what comes together with a bridge's handshake, its own bridge's
  included, until more comes. A server that speaks first may so wait for ever; Postern's client has no such
  fault.

## webtunnel

${webtunnelTable}
- _where_: the web server that ends the TLS; _alone_ is Postern's own, _pinned_ with a certificate of its own.
- What lacks: webtunnel-server alone, which speaks no TLS; and other clients than Postern's behind HAProxy in mode http,
  which lets none of them through.

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
