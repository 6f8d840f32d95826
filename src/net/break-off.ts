import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Ends a stream in a way that its far end cannot take for the end of the data. */
export function breakOff(stream: Duplex, error: Error): void {
  if (stream.destroyed) return;
  // Only TCP knows a reset: a Unix-domain socket, which has no address, refuses it.
  const wire = wireOf(stream);
  const knowsReset = wire instanceof Socket && wire.localAddress !== undefined;
  if (!knowsReset || isEnding(stream) || isEnding(wire)) stream.destroy(error);
  else if (wire === stream) wire.resetAndDestroy();
  // Not from inside of what TLS is doing: Node 20 then reads what is freed. What is above the wire closes with it.
  else setImmediate(() => (isEnding(wire) ? wire.destroy() : wire.resetAndDestroy()));
}

/** TLS knows an end of its own, which some ends take no note of; what lies below it knows a reset. */
export function rememberWire(stream: Duplex, wire: Duplex): void {
  wires.set(stream, wire);
}

/** What lies below a stream's TLS; the stream itself where there is none. */
export function wireOf(stream: Duplex): Duplex {
  return wires.get(stream) ?? stream;
}

const wires = new WeakMap<Duplex, Duplex>();

/**
 * Whether a socket's end is on its way, all of its data before it. libuv refuses a reset then
 * (`uv_tcp_close_reset`: EINVAL), and Node drops the handle without closing it: it would go on to read,
 * for nobody, whatever comes.
 */
function isEnding(stream: Duplex): boolean {
  return stream.writableEnded && stream.writableLength === 0 && !stream.writableFinished;
}
