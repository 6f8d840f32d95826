/**
 * `npm run bench -- --webtunnel [--quick] [--json] [--write]`: webtunnel beside its own programs, in plain HTTP as behind
 * a web server, and in TLS, which of the servers only Postern's speaks itself.
 *
 * In a network of its own (`all.ts`): the official client refuses addresses of this machine.
 */
import { formatEndpoint, type Endpoint } from '../src/pt/address.ts';
import type { KeyValues } from '../src/pt/key-value.ts';
import { compete, legend } from './contest.ts';
import { startTarget } from './load.ts';
import { options } from './options.ts';
import { environment, environmentList, writeSection } from './page.ts';
import { startPair, type Pair } from './pair.ts';
import { bareRelay, findFetched, postern, type Program } from './programs.ts';
import { createRows, formatTable, type Row } from './report.ts';

const HOST = '203.0.113.10';
let nextPort = 20_000;

const client = findFetched('webtunnel-client', 'webtunnel');
const server = findFetched('webtunnel-server', 'webtunnel');
const theirs = 'webtunnel';

const target = await startTarget();
try {
  report([...(await comparePlain()), ...(await compareTls())]);
} finally {
  target.stop();
}

async function comparePlain(): Promise<readonly Row[]> {
  const subject = 'webtunnel, plain';
  const measured = await compete(subject, {
    postern: () => start(postern, postern, 'http'),
    [theirs]: () => start(client, server, 'http'),
    [bareRelay.name]: () => start(bareRelay, bareRelay, 'http'),
  });
  return createRows(subject, measured, ['client', 'server']);
}

/** Both clients before our server: theirs knows it by its pin as well. */
async function compareTls(): Promise<readonly Row[]> {
  const subject = 'webtunnel, TLS';
  const measured = await compete(subject, {
    postern: () => start(postern, postern, 'https'),
    [theirs]: () => start(client, postern, 'https'),
  });
  const ours = createRows(subject, { postern: measured['postern']! }, ['server']);
  return [
    ...createRows(subject, measured, ['client']),
    ...ours.filter(({ figure }) => figure.endsWith('server')),
  ];
}

function start(
  clientProgram: Program,
  serverProgram: Program,
  scheme: 'http' | 'https',
): Promise<Pair> {
  nextPort += 1;
  const bindAddress: Endpoint = { host: HOST, port: nextPort };
  const own: KeyValues = [
    ['url', `${scheme}://${formatEndpoint(bindAddress)}/secret`],
    ...(scheme === 'https' ? [['tls-cert', 'self-signed'] as const] : []),
  ];
  return startPair(clientProgram, 'webtunnel', target.endpoint, {
    serverProgram,
    bindAddress,
    options: own,
  });
}

function report(rows: readonly Row[]): void {
  const table = formatTable(rows, ['postern', theirs, bareRelay.name], [theirs]);
  if (options.write) writeSection('webtunnel', section(table));
  process.stdout.write(
    options.json ? `${JSON.stringify({ ...environment([client]), rows }, null, 2)}\n` : table,
  );
}

function section(table: string): string {
  return `webtunnel-client and webtunnel-server beside Postern. Measured on

${environmentList([client])}
${table}
${legend}- *plain*: HTTP without TLS, as a server speaks it behind a web server.
- *TLS*: both clients before Postern's server alone, with a certificate of its own; webtunnel-server speaks none.
`;
}
