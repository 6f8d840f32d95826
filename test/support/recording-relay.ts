/** What a censor on the path sees: a TCP relay that keeps a record of each connection. */
import { connect, type Socket } from 'node:net';
import type { Endpoint } from '../../src/pt/address.ts';
import type { Cleanup } from './pt-programs.ts';
import { listen } from './sockets.ts';

/** One thing that came from one side. */
type WireEvent =
  | { readonly from: 'client' | 'server'; readonly type: 'data'; readonly bytes: Buffer }
  | { readonly from: 'client' | 'server'; readonly type: 'end' | 'reset' };

/** What passed on one connection, in order. */
export interface WireRecord {
  readonly events: readonly WireEvent[];
  /** The two sockets of the relay. */
  readonly sides: Readonly<Record<'client' | 'server', Socket>>;
}

/** Changes a chunk in place before it goes on. */
export type Alteration = (from: 'client' | 'server', chunk: Buffer) => void;

/** A relay that runs. */
export interface RecordingRelay {
  /** Where clients connect to. */
  readonly endpoint: Endpoint;
  /** A record for each connection so far. */
  readonly records: readonly WireRecord[];
}

/** Starts a relay to a server, until the test has ended. */
export async function startRecordingRelay(
  t: Cleanup,
  server: Endpoint,
  alter: Alteration = () => {},
): Promise<RecordingRelay> {
  const records: WireRecord[] = [];
  const { endpoint } = await listen(
    t,
    (client) => void records.push(record(client, server, alter)),
  );
  return { endpoint, records };
}

function record(client: Socket, target: Endpoint, alter: Alteration): WireRecord {
  const server = connect({ ...target, noDelay: true, allowHalfOpen: true });
  const events: WireEvent[] = [];
  const carry = (from: 'client' | 'server', source: Socket, sink: Socket): void => {
    source.on('data', (chunk: Buffer) => {
      events.push({ from, type: 'data', bytes: Buffer.from(chunk) });
      alter(from, chunk);
      if (!sink.write(chunk)) source.pause();
    });
    sink.on('drain', () => source.resume());
    source.on('end', () => {
      events.push({ from, type: 'end' });
      sink.end();
    });
    source.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') events.push({ from, type: 'reset' });
      sink.resetAndDestroy();
    });
  };
  carry('client', client, server);
  carry('server', server, client);
  return { events, sides: { client, server } };
}
