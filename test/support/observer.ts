/** What someone who watches or probes can measure. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RecordingRelay, WireRecord } from './recording-relay.ts';
import { dial } from './sockets.ts';
import type { Endpoint } from '../../src/pt/address.ts';

/** The sizes of the writes of one side, in order, from the given event on. */
export function writeSizes(
  { events }: WireRecord,
  from: 'client' | 'server',
  start: number = 0,
): readonly number[] {
  return events
    .slice(start)
    .flatMap((event) => (event.from === from && event.type === 'data' ? [event.bytes.length] : []));
}

/** The sizes of what both sides write for one byte of payload each, `count` times. */
export async function burstSizes(
  relay: RecordingRelay,
  stream: Duplex,
  count: number,
): Promise<Readonly<Record<'client' | 'server', readonly number[]>>> {
  const record = relay.records.at(-1)!;
  const start = record.events.length;
  for (let burst = 0; burst < count; burst += 1) {
    const answered = once(stream, 'data');
    stream.write('x');
    await answered;
  }
  return {
    client: writeSizes(record, 'client', start),
    server: writeSizes(record, 'server', start),
  };
}

/**
 * Whether two samples can come from one distribution, by the test of Kolmogorov and Smirnov: false is
 * wrong once in 10^9 times.
 */
export function areAlike(a: readonly number[], b: readonly number[]): boolean {
  const limit = Math.sqrt((Math.log(2e9) / 2) * (1 / a.length + 1 / b.length));
  const shareUpTo = (sample: readonly number[], value: number): number =>
    sample.filter((other) => other <= value).length / sample.length;
  return [...a, ...b].every(
    (value) => Math.abs(shareUpTo(a, value) - shareUpTo(b, value)) <= limit,
  );
}

/** What a prober gets. */
export interface ProbeAnswer {
  /** Whether the server has sent anything. */
  readonly spoke: boolean;
  /** Whether it had ended the connection before the prober did. */
  readonly endedFirst: boolean;
  /** What it does when the prober ends. */
  readonly atEnd: 'FIN' | 'RST';
}

/**
 * Sends bytes to a server, and ends once `handled` has resolved, by when the server has done with the
 * bytes whatever it does at once.
 */
export async function probe(
  server: Endpoint,
  bytes: Uint8Array,
  handled: () => Promise<void>,
): Promise<ProbeAnswer> {
  const socket = await dial(server);
  let spoke = false;
  let end: ProbeAnswer['atEnd'] | undefined;
  const over = new Promise<void>((resolve) => {
    const finish = (how: ProbeAnswer['atEnd']): void => {
      end ??= how;
      resolve();
    };
    socket.on('data', () => (spoke = true));
    socket.on('end', () => finish('FIN')).on('error', () => finish('RST'));
  });
  socket.write(bytes);
  await handled();
  const endedFirst = end !== undefined;
  socket.end();
  await over;
  socket.destroy();
  return { spoke, endedFirst, atEnd: end! };
}

/** When our first keep-alive probe is due: with Go's, where Node takes an interval and a count as well. */
export const firstProbeSeconds: number = Socket.prototype.setKeepAlive.length < 4 ? 140 : 15;

/** What the kernel says of a connection of this machine: the whole seconds until its keep-alive probe. */
export async function keepAliveSeconds(far: Socket): Promise<number> {
  const wanted = ` ${hexAddress(far.remotePort!)} ${hexAddress(far.localPort!)} 01 `;
  for (;;) {
    const table = readFileSync('/proc/net/tcp', 'latin1');
    const row = table.split('\n').find((line) => line.includes(wanted));
    if (row === undefined) throw new Error('the connection is not in /proc/net/tcp');
    // `timer:ticks`, where timer 2 is the keep-alive one; while bytes are on their way it is another.
    const match = / 02:([0-9A-F]{8}) /.exec(row);
    if (match !== null) return Math.ceil(parseInt(match[1]!, 16) / 100);
    await new Promise(setImmediate);
  }
}

/** 127.0.0.1 and a port, as Linux writes them on a little-endian machine. */
function hexAddress(port: number): string {
  return `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}
