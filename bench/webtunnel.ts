/**
 * `node dist/bench/webtunnel.js`: what webtunnel costs, beside its own programs: CPU time for a gigabyte and memory
 * for a connection, of clients and of servers, in the network of .ci/parts/webtunnel.
 */
import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { exchange, serveExchange } from '../test/support/exchange.ts';
import type { PtProgram } from '../test/support/pt-programs.ts';
import { postern, startPtClient, startPtServer } from '../test/support/pt-programs.ts';
import { listen } from '../test/support/sockets.ts';
import { officialClient, officialServer, publicEndpoint } from '../test/support/webtunnel.ts';
import type { KeyValues } from '../src/pt/key-value.ts';
import { formatEndpoint } from '../src/pt/address.ts';

const WARM_UP_BYTES = 64_000_000;
/** Each way. */
const BYTES = 200_000_000;
const IDLE = 1_000;
const PARALLEL = 20;
const TICKS_PER_SECOND = 100;

interface Row {
  readonly name: string;
  readonly client: PtProgram;
  readonly server: PtProgram;
  readonly isSecure?: true;
}

const rows: readonly Row[] = [
  { name: 'webtunnel, plain', client: officialClient, server: officialServer },
  { name: 'Postern, plain', client: postern, server: postern },
  { name: 'Postern alone, TLS', client: postern, server: postern, isSecure: true },
];

process.stdout.write(
  'pair | client s/GB | server s/GB | client KiB/connection | server KiB/connection\n',
);
for (const row of rows) {
  const cleanups: (() => void | Promise<void>)[] = [];
  try {
    process.stdout.write(`${row.name} | ${(await measure(row, cleanups)).join(' | ')}\n`);
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup();
  }
}

async function measure(
  { client, server, isSecure }: Row,
  cleanups: (() => void | Promise<void>)[],
): Promise<readonly string[]> {
  const t = { after: (callback: () => void | Promise<void>) => void cleanups.push(callback) };
  const target = await listen(t, (socket) => void serveExchange(socket));
  const at = publicEndpoint();
  const options: KeyValues = [
    ['url', `${isSecure ? 'https' : 'http'}://${formatEndpoint(at)}/secret`],
    ...(isSecure ? [['tls-cert', 'self-signed'] as const] : []),
  ];
  const running = await startPtServer(t, server, {
    transport: 'webtunnel',
    orPort: target.endpoint,
    bindAddress: at,
    options,
  });
  const dialing = await startPtClient(t, client, 'webtunnel');
  const connect = (): Promise<Duplex> => dialing.dialer(running.args)(running.endpoint);
  const pids = [dialing.pid, running.pid];
  await exchange(await connect(), WARM_UP_BYTES);
  const before = pids.map(cpuSeconds);
  await exchange(await connect(), BYTES);
  const gigabytes = (2 * BYTES) / 1e9;
  const cpu = pids.map((pid, index) => (cpuSeconds(pid) - before[index]!) / gigabytes);
  const memoryBefore = pids.map(residentKib);
  const idle: Duplex[] = [];
  const open = async (): Promise<void> => {
    while (idle.length < IDLE) {
      const stream = await connect();
      idle.push(stream);
      stream.on('error', () => {});
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, open));
  const memory = pids.map((pid, index) => (residentKib(pid) - memoryBefore[index]!) / idle.length);
  for (const stream of idle) stream.destroy();
  return [...cpu.map((seconds) => seconds.toFixed(2)), ...memory.map((kib) => kib.toFixed(1))];
}

/** User and system time. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
}
