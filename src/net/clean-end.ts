import type { Duplex } from 'node:stream';
import { askForReset } from './break-off.ts';

/**
 * Calls back unless the end that a stream has come to is a reset, which closes it.
 *
 * libuv takes a reset that arrives together with the last bytes for an end (`uv__stream_io`: POLLHUP after
 * a partial read), so that half a download looks like a whole one.
 */
export function confirmEnd(stream: Duplex, callback: () => void): void {
  if (!askForReset(stream, callback)) callback();
}
