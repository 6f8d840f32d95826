/**
 * `npm run bench -- --daemon [--quick] [--json] [--write]`: the daemon of `postern run`. One stream through a client
 * daemon and a bridge daemon beside one through a bare obfs4proxy pair, in turns; then what only a
 * daemon has: many streams on one link, and the control port.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildRoot } from '../scripts/paths.ts';
import { createDirectDialer } from '../src/net/direct-dialer.ts';
import { type Daemons, startDaemons } from './daemons.ts';
import { askForDownload, askForEcho, download, roundTrip, startTarget, upload } from './load.ts';
import { type Program, startPair } from './pair.ts';
import { environmentList, writeSection } from './page.ts';
import { cpuSeconds, memoryBytes } from './process-stats.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

const share = options.quick ? 0.1 : 1;
const ROUNDS = options.quick ? 2 : 5;
const TRANSFER_BYTES: number = 2e9 * share;
const WARM_UP_BYTES = 1e8;
const STREAMS = 500;
const BYTES_PER_STREAM: number = 2e6 * share;
/** Beyond those that a daemon has already; four links carry them. */
const IDLE_STREAMS = 4000;
const REQUESTS: number = 100_000 * share;
const DUMPS: number = 400 * share;
const RELOADS = options.quick ? 5 : 20;
/** How long both processes are left alone before their memory is read. */
const SETTLE_MS = 2000;

const postern: Program = {
  name: 'postern',
  // As examples/postern.service starts it.
  command: [process.execPath, '--single-threaded-gc', join(buildRoot, 'src', 'cli', 'main.js')],
};
const obfs4proxy: Program = { name: 'obfs4proxy', command: ['obfs4proxy'] };

/** One figure; `target` says what it should be, where the project has said so. */
interface Figure {
  readonly figure: string;
  readonly value: string;
  readonly target?: string;
}

const target = await startTarget();
const daemons = await startDaemons(postern);
try {
  const figures: Figure[] = [
    ...(await measureMemory()), // first, while the heap holds nothing else
    ...(await measureThroughput()),
    ...(await measureFairness()),
    ...(await measureControl()),
    ...(await measureReload()),
  ];
  process.stdout.write(options.json ? `${JSON.stringify(figures, null, 2)}\n` : table(figures));
  if (options.write) writeSection('The daemon', section(table(figures)));
} finally {
  daemons.stop();
  target.stop();
}

/** One stream, half of the bytes up, half down, in turns with a bare obfs4proxy pair. */
async function measureThroughput(): Promise<Figure[]> {
  const pair = await startPair(obfs4proxy, 'obfs4', target.endpoint);
  const ways = [
    {
      connect: () => daemons.connect(target.endpoint),
      pids: [daemons.clientPid, daemons.bridgePid],
    },
    { connect: () => pair.connect(), pids: [pair.clientPid, pair.serverPid] },
  ];
  const seconds = [0, 0];
  const cpu = [0, 0];
  const carry = async (connect: () => Promise<Duplex>, bytes: number): Promise<void> => {
    await upload(await connect(), bytes / 2);
    await download(await connect(), bytes / 2);
  };
  try {
    for (const { connect } of ways) await carry(connect, WARM_UP_BYTES);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [index, { connect, pids }] of ways.entries()) {
        const used = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
        const [startMs, before] = [performance.now(), used()];
        await carry(connect, TRANSFER_BYTES / ROUNDS);
        seconds[index]! += (performance.now() - startMs) / 1000;
        cpu[index]! += used() - before;
      }
    }
  } finally {
    pair.stop();
  }
  const rate = (index: number): number => TRANSFER_BYTES / 1e6 / seconds[index]!;
  const perGb = (index: number): string => `${(cpu[index]! / (TRANSFER_BYTES / 1e9)).toFixed(2)} s`;
  return [
    { figure: 'one stream, both daemons', value: `${rate(0).toFixed(0)} MB/s` },
    { figure: 'one stream, bare obfs4proxy pair', value: `${rate(1).toFixed(0)} MB/s` },
    { figure: 'ratio of the two', value: (rate(0) / rate(1)).toFixed(2), target: '>= 1.00' },
    { figure: 'CPU per GB, both daemons', value: perGb(0) },
    { figure: 'CPU per GB, obfs4proxy pair', value: perGb(1) },
    { figure: 'ratio of the two', value: (cpu[0]! / cpu[1]!).toFixed(2), target: '<= 0.80' },
  ];
}

/** Many downloads at once on one link: how far each has come when half of all bytes are there. */
async function measureFairness(): Promise<Figure[]> {
  const counts = new Array<number>(STREAMS).fill(0);
  let total = 0;
  let atHalf: number[] | undefined;
  const streams: Duplex[] = [];
  while (streams.length < STREAMS) streams.push(await daemons.connect(target.endpoint));
  const startMs = performance.now();
  await Promise.all(
    streams.map(async (stream, index) => {
      await askForDownload(stream, BYTES_PER_STREAM);
      stream.on('data', (chunk: Buffer) => {
        counts[index]! += chunk.length;
        total += chunk.length;
        if (total >= (STREAMS * BYTES_PER_STREAM) / 2) atHalf ??= [...counts];
        if (counts[index]! >= BYTES_PER_STREAM) stream.destroy();
      });
      await once(stream, 'close');
    }),
  );
  const sorted = atHalf!.toSorted((a, b) => a - b);
  const sum = sorted.reduce((a, b) => a + b, 0);
  const squares = sorted.reduce((a, b) => a + b * b, 0);
  const percent = (bytes: number): string => `${((100 * bytes) / BYTES_PER_STREAM).toFixed(0)} %`;
  return [
    {
      figure: `${STREAMS} streams on one link, together`,
      value: `${(total / 1e3 / (performance.now() - startMs)).toFixed(0)} MB/s`,
    },
    {
      figure: 'how far each is at half time: least, median, most',
      value: [sorted[0]!, sorted[STREAMS / 2]!, sorted.at(-1)!].map(percent).join(', '),
    },
    {
      figure: 'fairness (Jain’s index; 1 is equal shares)',
      value: (sum ** 2 / (STREAMS * squares)).toFixed(3),
      target: '>= 0.98',
    },
  ];
}

async function measureControl(): Promise<Figure[]> {
  const { control } = daemons;
  const startMs = performance.now();
  // Some thousand on the way at a time: what a pipelining controller does.
  for (let done = 0; done < REQUESTS; done += 5000) {
    await Promise.all(Array.from({ length: 5000 }, () => control.getConf(['SocksPort'])));
  }
  const requests = (REQUESTS / (performance.now() - startMs)) * 1000;

  // A dump tells of each stream in a line, and each line is an event.
  const streams = await openIdle(daemons, 200);
  await control.setEvents(['log']);
  const events = control.events();
  const eventsStartMs = performance.now();
  const dumps = Array.from({ length: DUMPS }, () => control.sendSignal('dump'));
  let count = 0;
  const isLast = Promise.all(dumps);
  const lines = (streams.length + 3) * DUMPS;
  while (count < lines && !(await events.next()).done) count += 1;
  await isLast;
  const seconds = (performance.now() - eventsStartMs) / 1000;
  await control.setEvents([]);
  for (const stream of streams) stream.destroy();
  return [
    { figure: 'pipelined GETCONF', value: `${requests.toFixed(0)} a second` },
    { figure: 'events to one controller', value: `${(count / seconds).toFixed(0)} a second` },
  ];
}

/** From SIGNAL reload to a connection at the port that the new torrc has. */
async function measureReload(): Promise<Figure[]> {
  const times: number[] = [];
  const dial = createDirectDialer();
  for (let round = 0; round < RELOADS; round += 1) {
    const port = 23_000 + round;
    daemons.writeTorrc(`HTTPTunnelPort ${port}\n`);
    const startMs = performance.now();
    await daemons.control.sendSignal('reload');
    (await dial({ host: '127.0.0.1', port })).destroy();
    times.push(performance.now() - startMs);
  }
  const median = times.toSorted((a, b) => a - b)[Math.floor(RELOADS / 2)]!;
  return [{ figure: 'reload to the new configuration in force', value: `${median.toFixed(1)} ms` }];
}

/**
 * What one more stream costs a daemon that has some: the first ones also pay for the heap's growth to the
 * size at which it is worked in.
 */
async function measureMemory(): Promise<Figure[]> {
  const pids = [daemons.clientPid, daemons.bridgePid];
  const streams = await openIdle(daemons, 500);
  await delay(SETTLE_MS);
  const before = pids.map(memoryBytes);
  const more = await openIdle(daemons, IDLE_STREAMS);
  await delay(SETTLE_MS);
  const after = pids.map(memoryBytes);
  for (const stream of [...streams, ...more]) stream.destroy();
  return ['client', 'bridge'].map((name, index) => ({
    figure: `memory per idle stream, ${name}`,
    value: `${((after[index]! - before[index]!) / IDLE_STREAMS / 1024).toFixed(1)} KiB`,
    target: '<= 10 KiB',
  }));
}

/** Streams that are connected, have carried a byte each way, and rest. */
async function openIdle(pair: Daemons, count: number): Promise<Duplex[]> {
  const streams: Duplex[] = [];
  for (let opened = 0; opened < count; opened += 50) {
    streams.push(
      ...(await Promise.all(
        Array.from({ length: 50 }, async () => {
          const stream = await pair.connect(target.endpoint);
          stream.on('error', () => {});
          await askForEcho(stream);
          await roundTrip(stream, 1);
          return stream;
        }),
      )),
    );
  }
  return streams;
}

function section(figures: string): string {
  return `\`postern run\` at both ends, obfs4 built in, started like [the systemd unit](../examples/postern.service).
Measured on

${environmentList()}
${figures}
- *one stream*: through the SOCKS port of a client daemon and a link that all streams share, to a bridge
  daemon; beside the same bytes through obfs4proxy as a client and a server, which carry one
  connection for each stream and nothing more.
- *half time*: when half of all bytes have arrived, how much of its own each stream has.
- *reload*: from SIGNAL reload over TC to a connection at a port that the new torrc opens.
`;
}

function table(figures: readonly Figure[]): string {
  const lines = [
    ['figure', 'value', 'target'],
    ...figures.map(({ figure, value, target: goal }) => [figure, value, goal ?? '']),
  ];
  const widths = [0, 1, 2].map((column) =>
    Math.max(...lines.map((cells) => cells[column]!.length)),
  );
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`;
  const [head, ...body] = lines;
  return (
    format(head!) + format(widths.map((width) => '-'.repeat(width))) + body.map(format).join('')
  );
}
