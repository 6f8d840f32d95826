import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { wireOf } from './break-off.ts';

/** Calls back at the end of what a stream has to read, unless the end is a reset, which closes it. */
export function onCleanEnd(stream: Duplex, callback: () => void): void {
  stream.on('end', () => confirmEnd(stream, callback));
}

/**
 * Calls back unless the end that a stream has come to is a reset, which closes it.
 *
 * libuv takes a reset that arrives together with the last bytes for an end (`uv__stream_io`: POLLHUP after
 * a partial read), so that half a download looks like a whole one. The system tells them apart at the next
 * write, and one of no bytes puts nothing on the wire.
 */
export function confirmEnd(stream: Duplex, callback: () => void): void {
  // Behind bytes that wait to be sent it would wait as well, and they find out by themselves.
  const wire = wireOf(stream);
  // Nor behind our own end, which TLS has put on the wire without the wire knowing: that write would break.
  const isOpen = stream.writable && wire.writable;
  const isQuiet = isOpen && wire.writableLength === 0 && stream.writableLength === 0;
  if (!(wire instanceof Socket && isQuiet)) return callback();
  wire.write(NOTHING, (error) => {
    // Else 'error' and 'close' follow.
    if (error === null || error === undefined) callback();
  });
}

const NOTHING = new Uint8Array(0);
