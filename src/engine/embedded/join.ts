import type { Http2Stream } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors.ts';

/**
 * Joins a socket and a stream of a link until both have ended. The end of one direction reaches the
 * other side while the reverse direction goes on.
 *
 * A side that breaks breaks the other: a socket by a reset, for a plain close would look like the end of
 * the data, and half a download like a whole one; a stream by CONNECT_ERROR (RFC 9113, section 8.5).
 *
 * @returns resolves when both are closed, with the failure that ended them or undefined; never rejects
 */
export function join(socket: Duplex, stream: Http2Stream & Duplex): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let open = 2;
    let failure: Error | undefined;
    const closed = (): void => {
      open -= 1;
      if (open === 0) resolve(failure);
    };
    const fail = (error: Error | undefined): void => {
      failure ??= error ?? new PosternError('ERR_STREAM_TRUNCATED', 'closed before its end');
      if (!stream.destroyed) stream.close(CONNECT_ERROR);
      if (socket instanceof Socket) socket.resetAndDestroy();
      else socket.destroy();
    };

    const onSocketClose = (): void => {
      if (!socket.readableEnded || !socket.writableFinished) fail(socket.errored ?? undefined);
      closed();
    };
    // Node ends a broken stream as if all was well, and then says that it broke: before that end reaches
    // the socket, 'aborted' tells.
    const onStreamBroken = (): void => {
      if ((stream.rstCode ?? NO_ERROR) !== NO_ERROR) fail(stream.errored ?? undefined);
    };
    socket.on('error', ignore);
    stream.on('error', ignore).once('aborted', onStreamBroken);
    if (socket.closed) onSocketClose();
    else socket.once('close', onSocketClose);
    const onStreamClose = (): void => {
      onStreamBroken();
      closed();
    };
    if (stream.closed && stream.destroyed) onStreamClose();
    else stream.once('close', onStreamClose);

    socket.on('data', (chunk) => {
      if (!stream.write(chunk)) socket.pause();
    });
    stream.on('drain', () => socket.resume());
    if (socket.readableEnded) stream.end();
    else socket.once('end', () => stream.end());

    forwardJoined(stream, socket);
    socket.on('drain', () => stream.resume());
    socket.resume();
    stream.resume();
  });
}

/**
 * From a stream to a socket: frames of 16 KiB that came together go on together. A system call for each
 * would be a fifth of all the CPU time.
 */
function forwardJoined(stream: Duplex, socket: Duplex): void {
  let chunks: Buffer[] = [];
  const flush = (): void => {
    const parts = chunks;
    chunks = [];
    if (parts.length === 0 || socket.destroyed) return;
    socket.cork();
    let mayGoOn = true;
    for (const part of parts) mayGoOn = socket.write(part);
    socket.uncork();
    if (!mayGoOn) stream.pause();
  };
  stream.on('data', (chunk: Buffer) => {
    if (chunks.push(chunk) === 1) process.nextTick(flush);
  });
  const onEnd = (): void => {
    flush();
    socket.end();
  };
  if (stream.readableEnded) onEnd();
  else stream.once('end', onEnd);
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}

/** RFC 9113, section 7. */
const NO_ERROR = 0x0;
const CONNECT_ERROR = 0xa;
