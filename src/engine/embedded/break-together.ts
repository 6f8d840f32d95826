import type { Http2Stream } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * Lets a socket break when the stream that it is joined to breaks: by a reset. A plain close would look
 * like the end of the data, and half a download like a whole one. To be called before the two are joined.
 */
export function breakTogether(socket: Duplex, stream: Http2Stream & Duplex): void {
  const onEnd = (): void => {
    // Zero is NO_ERROR: RFC 9113, section 7.
    if ((stream.rstCode ?? 0) === 0) return;
    if (socket instanceof Socket) socket.resetAndDestroy();
    else socket.destroy();
  };
  stream.once('aborted', onEnd).once('error', onEnd).once('close', onEnd);
}
