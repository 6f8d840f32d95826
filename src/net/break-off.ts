import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Ends a stream in a way that the far end cannot mistake for the end of the data. */
export function breakOff(stream: Duplex, error: Error): void {
  if (stream.destroyed) return;
  // Only TCP knows a reset: a Unix-domain socket, which has no address, refuses it.
  const wire = wireOf(stream);
  const knowsReset = wire instanceof Socket && wire.localAddress !== undefined;
  if (!knowsReset || isEnding(stream) || isEnding(wire)) stream.destroy(error);
  else if (wire === stream) wire.resetAndDestroy();
  // In a later turn: inside a callback of TLS, Node 20 would read freed memory. What is above the wire closes with it.
  else setImmediate(() => (isEnding(wire) ? wire.destroy() : wire.resetAndDestroy()));
}

/**
 * Asks the system whether a stream's peer has reset it, which Node hears of only where it reads or has something
 * to send. The system tells at the next write, and one of no bytes puts nothing on the wire.
 *
 * @param onAlive hears that it has not; else 'error' and 'close' follow
 * @returns false when it cannot be asked: what waits to be sent finds out by itself, and behind our own end,
 *   which TLS puts on the wire without the wire's knowing, a write would break what still comes in
 */
export function askForReset(stream: Duplex, onAlive: () => void = () => {}): boolean {
  const wire = wireOf(stream);
  const isQuiet = [stream, wire].every((each) => each.writable && each.writableLength === 0);
  if (!(wire instanceof Socket && isQuiet)) return false;
  wire.write(NOTHING, (error) => {
    if (error === null || error === undefined) onAlive();
  });
  return true;
}

const NOTHING = new Uint8Array(0);

/** Some programs ignore the end of TLS itself; the TCP connection below it knows a reset. */
export function rememberWire(stream: Duplex, wire: Duplex): void {
  wires.set(stream, wire);
  streams.set(wire, stream);
}

/** What lies below a stream's TLS; the stream itself where there is none. */
export function wireOf(stream: Duplex): Duplex {
  return wires.get(stream) ?? stream;
}

/** What is read and written over a wire: its TLS, or the wire itself where there is none. */
export function streamOver(wire: Duplex): Duplex {
  return streams.get(wire) ?? wire;
}

const wires = new WeakMap<Duplex, Duplex>();
const streams = new WeakMap<Duplex, Duplex>();

/**
 * Whether a socket's end is on its way, all of its data before it. libuv refuses a reset then
 * (`uv_tcp_close_reset`: EINVAL), and Node drops the handle without closing it: it would go on to read,
 * for nobody, whatever comes.
 */
function isEnding(stream: Duplex): boolean {
  return stream.writableEnded && stream.writableLength === 0 && !stream.writableFinished;
}
