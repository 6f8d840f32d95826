/**
 * `npm run bench -- --daemon [--quick] [--json] [--write]`: the daemon of `postern run`. One stream through a client
 * daemon and a bridge daemon beside one through bare pairs of obfs4proxy and lyrebird, in turns; then what only a
 * daemon has: many streams on one link, and the control port.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { buildRoot } from '../scripts/paths.ts';
import { createDirectDialer } from '../src/net/direct-dialer.ts';
import { type Daemons, startDaemons } from './daemons.ts';
import { askForDownload, askForEcho, download, roundTrip, startTarget, upload } from './load.ts';
import { options, progress, share } from './options.ts';
import { environmentList, writeSection } from './page.ts';
import { startPair } from './pair.ts';
import { cpuTimes, memoryBytes } from './process-stats.ts';
import { peers, type Program } from './programs.ts';
import { formatCells } from './report.ts';

/** Even, so that each program comes as often first as last. */
const ROUNDS = options.quick ? 2 : 6;
/** Whole bytes in each direction of each round. */
const TRANSFER_BYTES: number = 2.4e9 * share;
const WARM_UP_BYTES: number = 5e8 * share;
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

/** One stream, half of the bytes up, half down, in turns with bare pairs of the others. */
async function measureThroughput(): Promise<Figure[]> {
  progress('daemon: one stream');
  const pairs = [];
  for (const peer of peers as readonly Program[]) {
    pairs.push(await startPair(peer, 'obfs4', target.endpoint));
  }
  const ways = [
    {
      name: 'both daemons',
      connect: () => daemons.connect(target.endpoint),
      pids: [daemons.clientPid, daemons.bridgePid],
    },
    ...pairs.map((pair) => ({
      name: `${pair.program.name} pair`,
      connect: () => pair.connect(),
      pids: [pair.clientPid, pair.serverPid],
    })),
  ].map((way) => ({ ...way, seconds: 0, user: 0, system: 0 }));
  const carry = async (connect: () => Promise<Duplex>, bytes: number): Promise<void> => {
    await upload(await connect(), bytes / 2);
    await download(await connect(), bytes / 2);
  };
  try {
    for (const { connect } of ways) await carry(connect, WARM_UP_BYTES);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
        const before = way.pids.map(cpuTimes);
        const startMs = performance.now();
        await carry(way.connect, TRANSFER_BYTES / ROUNDS);
        way.seconds += (performance.now() - startMs) / 1000;
        for (const [index, { user, system }] of way.pids.map(cpuTimes).entries()) {
          way.user += user - before[index]!.user;
          way.system += system - before[index]!.system;
        }
      }
    }
  } finally {
    for (const pair of pairs) pair.stop();
  }
  const gigabytes = TRANSFER_BYTES / 1e9;
  const cpu = ({ user, system }: (typeof ways)[number]): number => user + system;
  const [ours, ...others] = ways as [(typeof ways)[number], ...typeof ways];
  const seconds = (value: number): string => `${(value / gigabytes).toFixed(2)} s`;
  return [
    ...ways.map((way) => ({
      figure: `one stream, ${way.name}`,
      value: `${((1000 * gigabytes) / way.seconds).toFixed(0)} MB/s`,
    })),
    ...others.map(({ name, seconds: theirs }, index) => ({
      figure: `speed as a share of the ${name}`,
      value: (theirs / ours.seconds).toFixed(2),
      ...(index === 0 && { target: '>= 1.00' }),
    })),
    ...ways.map((way) => ({
      figure: `CPU per GB, ${way.name}`,
      value: `${seconds(cpu(way))} (user ${seconds(way.user)}, system ${seconds(way.system)})`,
    })),
    ...others.map((other, index) => ({
      figure: `CPU as a share of the ${other.name}`,
      value: (cpu(ours) / cpu(other)).toFixed(2),
      ...(index === 0 && { target: '<= 0.80' }),
    })),
  ];
}

/** Many downloads at once on one link: how far each has come when half of all bytes are there. */
async function measureFairness(): Promise<Figure[]> {
  progress('daemon: many streams');
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
  progress('daemon: control port');
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
  progress('daemon: reload');
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
  progress('daemon: idle streams');
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
  daemon; beside the same bytes through a peer as a client and a server, which carry one connection for
  each stream and nothing more. Half of the bytes go up, half down, after ${WARM_UP_BYTES / 2e6} MB each way.
- *half time*: when half of all bytes have arrived, how much of its own each stream has.
- *reload*: from SIGNAL reload over TC to a connection at a port that the new torrc opens.
`;
}

function table(figures: readonly Figure[]): string {
  return formatCells([
    ['figure', 'value', 'target'],
    ...figures.map(({ figure, value, target: goal }) => [figure, value, goal ?? '']),
  ]);
}
