/** The four measurements. Each adds to what earlier rounds have found, so that rounds can alternate. */
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { askForEcho, download, roundTrip, upload } from './load.ts';
import type { Pair } from './pair.ts';
import { cpuSeconds, memoryBytes } from './process-stats.ts';

const ROUND_TRIP_BYTES = 64;
/** Connections that are opened at the same time, so that both processes stay busy. */
const PARALLEL = 8;
/** How long both processes are left alone before their memory is read. */
const SETTLE_MS = 2000;

/** What both processes of a pair used. */
interface Usage {
  client: number;
  server: number;
}

/** All that was measured of one pair. */
export interface Measured {
  readonly cpu: Usage;
  bytes: number;
  readonly handshakeCpu: Usage;
  handshakes: number;
  readonly memory: Usage;
  connections: number;
  readonly roundTripsMs: number[];
}

/** Nothing measured yet. */
export function nothingMeasured(): Measured {
  return {
    cpu: { client: 0, server: 0 },
    bytes: 0,
    handshakeCpu: { client: 0, server: 0 },
    handshakes: 0,
    memory: { client: 0, server: 0 },
    connections: 0,
    roundTripsMs: [],
  };
}

/** CPU seconds of a transfer: half of the bytes up, half down. */
export async function measureTransfer(
  pair: Pair,
  into: Measured,
  byteCount: number,
): Promise<void> {
  await added(pair, cpuSeconds, into.cpu, async () => {
    await upload(await pair.connect(), byteCount / 2);
    await download(await pair.connect(), byteCount / 2);
  });
  into.bytes += byteCount;
}

/** CPU seconds of connections that carry one byte each way, and so are established at both ends. */
export async function measureHandshakes(pair: Pair, into: Measured, count: number): Promise<void> {
  await added(pair, cpuSeconds, into.handshakeCpu, async () => {
    for (const stream of await openConnections(pair, count, (stream) => stream.destroy())) {
      stream.destroy();
    }
  });
  into.handshakes += count;
}

/** Memory of connections that are established and idle. */
export async function measureMemory(pair: Pair, into: Measured, count: number): Promise<void> {
  // One connection before, so that what is loaded at the first use is not counted.
  const [first] = await openConnections(pair, 1);
  await delay(SETTLE_MS);
  let streams: Duplex[] = [];
  await added(pair, memoryBytes, into.memory, async () => {
    streams = await openConnections(pair, count);
    await delay(SETTLE_MS);
  });
  into.connections += count;
  for (const stream of [first!, ...streams]) stream.destroy();
}

/** Times of the echo of 64 bytes, one after another. */
export async function measureRoundTrips(pair: Pair, into: Measured, count: number): Promise<void> {
  const stream = await pair.connect();
  await askForEcho(stream);
  for (let trip = 0; trip < count; trip += 1) {
    into.roundTripsMs.push(await roundTrip(stream, ROUND_TRIP_BYTES));
  }
  stream.destroy();
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

/** Adds to `into` what a reading of both processes grows by during `work`. */
async function added(
  { clientPid, serverPid }: Pair,
  readingOf: (pid: number) => number,
  into: Usage,
  work: () => Promise<void>,
): Promise<void> {
  const before = { client: readingOf(clientPid), server: readingOf(serverPid) };
  await work();
  into.client += readingOf(clientPid) - before.client;
  into.server += readingOf(serverPid) - before.server;
}
