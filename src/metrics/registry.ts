/**
 * The figures of this process, for Prometheus. Counts that peers cause are rounded up to multiples of eight,
 * as Tor does in what it publishes, so that no single client can be seen in them.
 */
import { readdir } from 'node:fs/promises';
import { Counter, Gauge, type OpenMetricsContentType, Registry } from 'prom-client';
import { limits } from '../limits.ts';
import { peerBytes } from '../net/peer-bytes.ts';
import { pendingHandshakes } from '../net/pending-handshakes.ts';
import { rejectedConnections } from '../net/rejected.ts';
import { connections, handshakes, streamFailures, totals, traffic } from '../tallies.ts';
import { version } from '../version.ts';

/** What only a daemon has, as numbers of this moment. */
export interface Figures {
  readonly links: number;
  readonly circuits: number;
  readonly streams: number;
  /** As a bridge: those of clients. */
  readonly bridgeLinks: number;
  readonly bridgeStreams: number;
}

/** The two forms in which the figures can be had. */
export interface MetricsRegistries {
  /** Text format 0.0.4. */
  readonly prometheus: Registry;
  readonly openMetrics: Registry<OpenMetricsContentType>;
}

/** One figure, with its labels. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** A group of figures of one name. */
interface Family {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels?: readonly string[];
  /** Asked at each scrape. */
  readonly read: () => readonly Sample[] | Promise<readonly Sample[]>;
}

const COUNT_STEP = 8;
const BYTES_STEP = 65_536;

/** To a multiple of the step, upwards: what grows goes on growing. */
function rounded(value: number, step: number = COUNT_STEP): number {
  return Math.ceil(value / step) * step;
}

function single(value: number): readonly Sample[] {
  return [[{}, value]];
}

/** The samples of counts by `a b c`; those of servers are about clients. */
function samplesOf(counts: ReadonlyMap<string, number>, names: readonly string[]): Sample[] {
  return [...counts].map(([key, count]) => {
    const words = key.split(' ');
    const labels = Object.fromEntries(names.map((name, index) => [name, words[index]!]));
    return [labels, words[0] === 'server' ? rounded(count) : count];
  });
}

const families: Readonly<Record<string, Family>> = {
  postern_build_info: {
    type: 'gauge',
    help: 'Which Postern this is, and on which Node it runs; always 1.',
    labels: ['version', 'node'],
    read: () => [[{ version, node: process.versions.node }, 1]],
  },
  postern_handshakes_total: {
    type: 'counter',
    help: 'Handshakes that have ended; those of servers in steps of 8.',
    labels: ['side', 'transport', 'outcome'],
    read: () => samplesOf(handshakes, ['side', 'transport', 'outcome']),
  },
  postern_connections: {
    type: 'gauge',
    help: 'Open connections whose handshake succeeded; those of servers in steps of 8.',
    labels: ['side', 'transport'],
    read: () => samplesOf(connections, ['side', 'transport']),
  },
  postern_pending_handshakes: {
    type: 'gauge',
    help: 'Connections of servers whose handshake still runs, in steps of 8.',
    read: () => single(rounded(pendingHandshakes())),
  },
  postern_rejected_connections: {
    type: 'gauge',
    help: 'Connections whose handshake failed, and which are read until a timer closes them, in steps of 8.',
    read: () => single(rounded(rejectedConnections())),
  },
  postern_traffic_bytes_total: {
    type: 'counter',
    help: 'Bytes of disguised connections as they are on the wire, in steps of 64 KiB.',
    labels: ['direction'],
    read: () => {
      const { readBytes, writtenBytes } = traffic();
      return [
        [{ direction: 'read' }, rounded(readBytes, BYTES_STEP)],
        [{ direction: 'written' }, rounded(writtenBytes, BYTES_STEP)],
      ];
    },
  },
  postern_held_bytes: {
    type: 'gauge',
    help: 'Bytes of peers that wait for a slow reader, in steps of 64 KiB.',
    read: () => single(rounded(peerBytes.heldBytes, BYTES_STEP)),
  },
  postern_held_bytes_limit: {
    type: 'gauge',
    help: 'The limit of those bytes: past it, the connection that holds most is ended.',
    read: () => single(limits.peerBytesBudget),
  },
  process_cpu_seconds_total: {
    type: 'counter',
    help: 'User and system CPU time of this process, in seconds.',
    read: () => {
      const { user, system } = process.cpuUsage();
      return single((user + system) / 1e6);
    },
  },
  process_resident_memory_bytes: {
    type: 'gauge',
    help: 'Resident memory of this process.',
    read: () => single(process.memoryUsage.rss()),
  },
  process_start_time_seconds: {
    type: 'gauge',
    help: 'When this process was started, in seconds since the epoch.',
    read: () => single(Math.round(Date.now() / 1000 - process.uptime())),
  },
  process_open_fds: {
    type: 'gauge',
    help: 'Open file descriptors of this process, in steps of 8; missing where the system does not tell.',
    read: async () => {
      const names = await readdir('/proc/self/fd').catch(() => []);
      return names.length === 0 ? [] : single(rounded(names.length));
    },
  },
  nodejs_heap_used_bytes: {
    type: 'gauge',
    help: 'What JavaScript uses of its heap.',
    read: () => single(process.memoryUsage().heapUsed),
  },
  nodejs_eventloop_utilization: {
    type: 'gauge',
    help: 'The share of its time that the event loop has been busy since the start, 0 to 1.',
    read: () => single(performance.eventLoopUtilization().utilization),
  },
};

function daemonFamilies(figures: () => Figures): Readonly<Record<string, Family>> {
  const gauge = (help: string, read: (figures: Figures) => number): Family => ({
    type: 'gauge',
    help,
    read: () => single(read(figures())),
  });
  return {
    postern_links: gauge('Links to bridges.', ({ links }) => links),
    postern_circuits: gauge('Circuits over them.', ({ circuits }) => circuits),
    postern_streams: gauge('Streams of applications.', ({ streams }) => streams),
    postern_stream_failures_total: {
      type: 'counter',
      help: 'Streams of applications that failed, by the code of the error.',
      labels: ['code'],
      read: () => samplesOf(streamFailures, ['code']),
    },
    postern_bridge_links: gauge('As a bridge: links of clients, in steps of 8.', (now) =>
      rounded(now.bridgeLinks),
    ),
    postern_bridge_streams: gauge('As a bridge: their streams, in steps of 8.', (now) =>
      rounded(now.bridgeStreams),
    ),
    postern_control_connections: gauge('Controllers.', () => totals.controlConnections),
  };
}

/** @param figures those of a daemon, where there is one */
export function createRegistries(figures?: () => Figures): MetricsRegistries {
  const prometheus = new Registry();
  const openMetrics = new Registry<OpenMetricsContentType>();
  openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const all = { ...families, ...(figures !== undefined && daemonFamilies(figures)) };
  for (const [name, family] of Object.entries(all)) {
    for (const registry of [prometheus, openMetrics] as Registry[])
      register(registry, name, family);
  }
  return { prometheus, openMetrics };
}

function register(
  registry: Registry,
  name: string,
  { type, help, labels = [], read }: Family,
): void {
  const common = { name, help, labelNames: labels, registers: [registry] };
  if (type === 'gauge') {
    const gauge = new Gauge({
      ...common,
      async collect() {
        gauge.reset();
        for (const [of, value] of await read()) gauge.set(of, value);
      },
    });
    return;
  }
  const counter = new Counter({
    ...common,
    async collect() {
      counter.reset();
      for (const [of, value] of await read()) counter.inc(of, value);
    },
  });
}
