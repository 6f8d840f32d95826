/** The measurements. Each adds to what earlier rounds have found, so that rounds can alternate. */
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { askForEcho, download, roundTrip, upload } from './load.ts';
import { startClient, type Pair } from './pair.ts';
import { cpuTimes, fineCpuSeconds, memoryOf, type Reading } from './process-stats.ts';
import type { Program } from './programs.ts';

const ROUND_TRIP_BYTES = 64;
/** Connections that are opened at the same time, so that both processes stay busy. */
const PARALLEL = 8;
/** How long both processes are left alone before their memory is read. */
const SETTLE_MS = 2000;

/** How much was done, and by how much the readings of each process grew meanwhile. */
export interface Sum {
  amount: number;
  client: Reading;
  server: Reading;
}

/** All that was measured of one program. */
export interface Measured {
  /** Bytes, and `cpuTimes`. */
  readonly up: Sum;
  readonly down: Sum;
  /** Connections, and `cpuTimes`. */
  readonly handshakes: Sum;
  /** Connections, and `memoryOf`. */
  readonly connections: Sum;
  readonly roundTripsMs: number[];
  /** CPU seconds from the launch to `CMETHODS DONE`. */
  readonly startsSeconds: number[];
}

/** Nothing measured yet. */
export function nothingMeasured(): Measured {
  const nothing = (): Sum => ({ amount: 0, client: {}, server: {} });
  return {
    up: nothing(),
    down: nothing(),
    handshakes: nothing(),
    connections: nothing(),
    roundTripsMs: [],
    startsSeconds: [],
  };
}

/** A measurement: so much more of it. */
export type Measurement = (pair: Pair, into: Measured, amount: number) => Promise<void>;

/** CPU time of a transfer: half of the bytes up, half down. */
export const measureTransfer: Measurement = async (pair, into, byteCount) => {
  for (const [carry, sum] of [
    [upload, into.up],
    [download, into.down],
  ] as const) {
    await addGrowth(pair, cpuTimes, sum, byteCount / 2, async () =>
      carry(await pair.connect(), byteCount / 2),
    );
  }
};

/** CPU time of connections that carry one byte each way, and so are established at both ends. */
export const measureHandshakes: Measurement = async (pair, into, count) => {
  await addGrowth(pair, cpuTimes, into.handshakes, count, async () => {
    await openConnections(pair, count, (stream) => stream.destroy());
  });
};

/** Memory of connections that are established and idle. */
export const measureMemory: Measurement = async (pair, into, count) => {
  // One connection before, so that what is loaded at the first use is not counted.
  const [first] = await openConnections(pair, 1);
  await delay(SETTLE_MS);
  let streams: Duplex[] = [];
  await addGrowth(pair, memoryOf, into.connections, count, async () => {
    streams = await openConnections(pair, count);
    await delay(SETTLE_MS);
  });
  for (const stream of [first!, ...streams]) stream.destroy();
};

/** Times of the echo of 64 bytes, one after another. */
export const measureRoundTrips: Measurement = async (pair, into, count) => {
  const stream = await pair.connect();
  await askForEcho(stream);
  for (let trip = 0; trip < count; trip += 1) {
    into.roundTripsMs.push(await roundTrip(stream, ROUND_TRIP_BYTES));
  }
  stream.destroy();
};

/** CPU time that a managed client needs until it serves. */
export async function measureStart(program: Program, into: Measured): Promise<void> {
  const client = await startClient(program, 'obfs4');
  into.startsSeconds.push(fineCpuSeconds(client.pid));
  client.stop();
}

/** Opens connections, a few at a time, and sees one byte go both ways on each. */
async function openConnections(
  pair: Pair,
  count: number,
  onOpen: (stream: Duplex) => void = () => {},
): Promise<Duplex[]> {
  const streams: Duplex[] = [];
  const openSome = async (): Promise<void> => {
    while (streams.length < count) {
      const index = streams.push(undefined as never) - 1;
      const stream = await pair.connect();
      streams[index] = stream;
      await askForEcho(stream);
      await roundTrip(stream, 1);
      onOpen(stream);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, openSome));
  return streams;
}

/** Adds to `sum` what a reading of both processes grows by during `work`. */
async function addGrowth(
  { clientPid, serverPid }: Pair,
  readingOf: (pid: number) => Reading,
  sum: Sum,
  amount: number,
  work: () => Promise<void>,
): Promise<void> {
  const before = { client: readingOf(clientPid), server: readingOf(serverPid) };
  await work();
  sum.client = grown(sum.client, before.client, readingOf(clientPid));
  sum.server = grown(sum.server, before.server, readingOf(serverPid));
  sum.amount += amount;
}

function grown(sum: Reading, before: Reading, after: Reading): Reading {
  return Object.fromEntries(
    Object.keys(after).map((name) => [name, (sum[name] ?? 0) + after[name]! - before[name]!]),
  );
}
