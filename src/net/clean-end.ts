import type { Duplex } from 'node:stream';
import { askForReset } from './break-off.ts';

/** Calls back at the end of what a stream has to read, unless the end is a reset, which closes it. */
export function onCleanEnd(stream: Duplex, callback: () => void): void {
  stream.on('end', () => confirmEnd(stream, callback));
}

/**
 * Calls back unless the end that a stream has come to is a reset, which closes it.
 *
 * libuv takes a reset that arrives together with the last bytes for an end (`uv__stream_io`: POLLHUP after
 * a partial read), so that half a download looks like a whole one.
 */
export function confirmEnd(stream: Duplex, callback: () => void): void {
  if (!askForReset(stream, callback)) callback();
}
