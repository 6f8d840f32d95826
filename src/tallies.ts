/**
 * What this process has done and holds, as numbers: counted where it happens, read by what shows figures
 * (`src/metrics/`). No address, no name of a peer and no identity is ever among them.
 */
import { PosternError } from './errors.ts';

/** Which end of a transport's connection this process is. */
type TransportSide = 'client' | 'server';

/** How a handshake failed. */
type HandshakeOutcome = 'rejected' | 'replayed' | 'timed_out' | 'closed' | 'failed';

/** Handshakes that have ended, by `side transport outcome`. */
export const handshakes: Map<string, number> = new Map();

/** Open connections whose handshake succeeded, by `side transport`. */
export const connections: Map<string, number> = new Map();

/** Streams that failed, by error code. */
export const streamFailures: Map<string, number> = new Map();

/** The other counters. */
export const totals: { readBytes: number; writtenBytes: number; controlConnections: number } = {
  /** Bytes of disguised connections on the wire; without those of `wires`, which count their own. */
  readBytes: 0,
  writtenBytes: 0,
  /** Controllers that are connected. */
  controlConnections: 0,
};

/** A connection that counts its bytes itself, like a socket. */
interface CountingWire {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly closed: boolean;
  once(event: 'close', listener: () => void): unknown;
}

/** The open ones of transports that leave all bytes after the handshake as they are. */
const wires = new Set<CountingWire>();

/** From now on nobody sees this connection's bytes who could count them: the socket itself is asked. */
export function countWire(wire: CountingWire): void {
  const addUp = (): void => {
    wires.delete(wire);
    totals.readBytes += wire.bytesRead;
    totals.writtenBytes += wire.bytesWritten;
  };
  // It may have gone between the end of its handshake and this moment, and tells of it once.
  if (wire.closed) return addUp();
  wires.add(wire);
  wire.once('close', addUp);
}

/** Bytes of disguised connections so far, as they are on the wire. */
export function traffic(): { readonly readBytes: number; readonly writtenBytes: number } {
  let { readBytes, writtenBytes } = totals;
  for (const wire of wires) {
    readBytes += wire.bytesRead;
    writtenBytes += wire.bytesWritten;
  }
  return { readBytes, writtenBytes };
}

/**
 * A handshake succeeded, and its connection counts.
 *
 * @returns a function to call when the connection has ended: the same one for all connections of a transport
 */
export function beginConnection(side: TransportSide, transport: string): () => void {
  const key = `${side} ${transport}`;
  add(handshakes, `${key} established`, 1);
  add(connections, key, 1);
  let end = ends.get(key);
  if (end === undefined) {
    end = () => add(connections, key, -1);
    ends.set(key, end);
  }
  return end;
}

/** A closure for each connection would be half a kilobyte. */
const ends = new Map<string, () => void>();

/** A handshake failed. */
export function countFailedHandshake(side: TransportSide, transport: string, error: unknown): void {
  add(handshakes, `${side} ${transport} ${outcomeOf(error)}`, 1);
}

/** A stream failed. */
export function countStreamFailure(error: unknown): void {
  add(streamFailures, error instanceof PosternError ? error.code : 'other', 1);
}

function outcomeOf(error: unknown): HandshakeOutcome {
  if (!(error instanceof PosternError)) return 'failed';
  switch (error.code) {
    case 'ERR_HANDSHAKE_REPLAYED':
      return 'replayed';
    case 'ERR_HANDSHAKE_REJECTED':
      return 'rejected';
    case 'ERR_HANDSHAKE_TIMED_OUT':
      return 'timed_out';
    case 'ERR_HANDSHAKE_CLOSED':
      return 'closed';
    default:
      return 'failed';
  }
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
