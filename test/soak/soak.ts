/** Connections that come, go, pause and break at random on both sides of a client and a bridge, for long. */
import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { openFiles } from '../../bench/process-stats.ts';
import { type Endpoint, formatEndpoint } from '../../src/pt/address.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { unawaited } from '../../src/unawaited.ts';
import { Dice } from '../fuzz/dice.ts';
import { postern, startPtClient, startPtServer, type Cleanup } from '../support/pt-programs.ts';
import { closedPort, listen, readBytes } from '../support/sockets.ts';
import { converse } from './conversation.ts';

/** What a soak is to be like. */
export interface SoakOptions {
  readonly transport: string;
  readonly ms: number;
  /** How many conversations there are at a time. */
  readonly connections: number;
  readonly seed: string;
}

/** What became of one of the two processes. */
interface Soaked {
  readonly name: string;
  /** Before the first of the connections, and when the last one has gone. */
  readonly descriptors: readonly [before: number, after: number];
  /** In the middle of the second quarter and of the last one: the median of what was read there. */
  readonly memory: readonly [early: number, late: number];
}

/** What became of it. */
export interface SoakReport {
  readonly conversations: number;
  readonly processes: readonly Soaked[];
}

/** How long one end may wait for the other, and the processes for their last descriptor. */
const PATIENCE_MS = 300_000;
const SAMPLES = 40;

/**
 * Soaks a client and a bridge of ours.
 *
 * @throws Error at the first byte that is wrong or missing, and at a connection that hangs
 */
export async function soak(
  t: Cleanup,
  { transport, ms, connections, seed }: SoakOptions,
): Promise<SoakReport> {
  const { connect, pids } = await startBoth(t, transport);
  const dice = new Dice(seed);
  let conversations = 0;
  const one = async (): Promise<void> => {
    conversations += 1;
    const number = conversations;
    const [near, far] = await connect(number);
    await converse(near, far, new Dice(`${seed} ${number} ${dice.below(1e9)}`), PATIENCE_MS);
  };
  await one();
  const names = Object.keys(pids);
  const read = (reading: (pid: number) => number): number[] => Object.values(pids).map(reading);
  const before = read(openFiles);
  const endMs = performance.now() + ms;
  const memory: number[][] = [];
  const sampling = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await delay(ms / SAMPLES);
      memory.push(read(privateBytes));
    }
  };
  const some = async (): Promise<void> => {
    while (performance.now() < endMs) await one();
  };
  await Promise.all([sampling(), ...Array.from({ length: connections }, some)]);

  const deadline = performance.now() + PATIENCE_MS;
  const isBack = (): boolean => read(openFiles).every((count, index) => count <= before[index]!);
  while (!isBack() && performance.now() < deadline) await delay(100);
  const after = read(openFiles);
  const medianOf = (quarter: number, index: number): number => {
    const from = Math.floor((memory.length * quarter) / 4);
    const part = memory.slice(from, Math.floor((memory.length * (quarter + 1)) / 4));
    return part.map((values) => values[index]!).toSorted((a, b) => a - b)[part.length >> 1]!;
  };
  return {
    conversations,
    processes: names.map((name, index) => ({
      name,
      descriptors: [before[index]!, after[index]!],
      memory: [medianOf(1, index), medianOf(3, index)],
    })),
  };
}

/** What it has written to and shares with nobody: of the rest the share grows when others end. */
function privateBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Private_Dirty:\s+(\d+) kB/m.exec(rollup)![1]) * 1024;
}

interface Both {
  /** Makes a connection through both, and gives its two ends. */
  readonly connect: (number: number) => Promise<[near: Duplex, far: Duplex]>;
  readonly pids: Readonly<Record<'client' | 'bridge', number>>;
}

async function startBoth(t: Cleanup, transport: string): Promise<Both> {
  const waiting = new Map<number, (far: Duplex) => void>();
  const target = await listen(t, (socket) =>
    unawaited(async () => {
      const number = (await readBytes(socket, HEAD_BYTES)).readUInt32BE();
      waiting.get(number)!(socket);
      waiting.delete(number);
    }),
  );
  const bindAddress = await closedPort();
  const bridge = await startPtServer(t, postern, {
    transport,
    orPort: target.endpoint,
    bindAddress,
    options: transport === 'webtunnel' ? aloneAt(bindAddress) : [],
  });
  const client = await startPtClient(t, postern, transport);
  const dial = client.dialer(bridge.args);
  const connect = async (number: number): Promise<[near: Duplex, far: Duplex]> => {
    const far = new Promise<Duplex>((resolve) => void waiting.set(number, resolve));
    const near = await dial(bridge.endpoint);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32BE(number);
    near.write(head);
    return [near, await far];
  };
  return { connect, pids: { client: client.pid, bridge: bridge.pid } };
}

/** A bridge that is a web site, which speaks TLS itself. */
function aloneAt(address: Endpoint): KeyValues {
  return [
    ['url', `https://${formatEndpoint(address)}/secret`],
    ['tls-cert', 'self-signed'],
  ];
}

/** A connection begins with its number, so that its two ends find each other. */
const HEAD_BYTES = 4;
