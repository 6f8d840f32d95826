import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Ends a stream in a way that its far end cannot take for the end of the data. */
export function breakOff(stream: Duplex, error: Error): void {
  if (stream.destroyed) return;
  // Only TCP knows a reset: a Unix-domain socket, which has no address, refuses it.
  const knowsReset = stream instanceof Socket && stream.localAddress !== undefined;
  if (knowsReset && !isEnding(stream)) stream.resetAndDestroy();
  else stream.destroy(error);
}

/**
 * Whether a socket's end is on its way, all of its data before it. libuv refuses a reset then
 * (`uv_tcp_close_reset`: EINVAL), and Node drops the handle without closing it: it would go on to read,
 * for nobody, whatever comes.
 */
function isEnding(stream: Duplex): boolean {
  return stream.writableEnded && stream.writableLength === 0 && !stream.writableFinished;
}
