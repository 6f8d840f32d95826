import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { giveBack } from '../bytes/give-back.ts';
import { tightly } from '../bytes/tightly.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { Backlog } from './backlog.ts';
import { breakOff } from './break-off.ts';
import { confirmEnd } from './clean-end.ts';
import { type PayloadSink, PayloadStream } from './payload-stream.ts';
import { type Reading, readLent, readOwned } from './reading.ts';
import { TransportStream } from './transport-stream.ts';
import { hasAllAway } from './write-away.ts';

/**
 * Joins two streams until both directions have ended. The end of one direction reaches the other
 * side while the reverse direction goes on.
 *
 * A side that breaks breaks the other: a socket by a reset, for a plain close would look like the end of
 * the data, and half a download like a whole one; anything else by `destroy(error)`. What comes in small
 * pieces at one time leaves in one write: a system call for each would be a fifth of all the CPU time.
 *
 * Once one direction has ended, both sides end when nothing moves for a while: the peer may have gone
 * without another word.
 *
 * By hand and not by `pipe` and `finished`: an idle connection costs half the memory.
 *
 * @returns resolves when both are closed, with the failure that ended them or undefined; never
 *   rejects
 */
export function relay(a: Duplex, b: Duplex): Promise<Error | undefined> {
  return new Promise((resolve) => join(a, b, resolve));
}

/** The same for who has a promise of their own to settle. */
export function join(a: Duplex, b: Duplex, onOver: (failure: Error | undefined) => void): void {
  let open = 2;
  let failure: Error | undefined;
  let halfClosed: NodeJS.Timeout | undefined;
  const onIdle = (): void => {
    failure ??= new PosternError('ERR_STREAM_TRUNCATED', IDLE);
    for (const side of [a, b]) {
      // All that it was sent may still be on its way: a reset would overtake it.
      if (side.writableEnded) side.destroy();
      else breakOff(side, failure);
    }
  };
  const onMoved = (): void => {
    halfClosed?.refresh();
  };
  const connect = (from: Duplex, to: Duplex): Reading => {
    let hasEnded = false;
    const onEnd = (): void =>
      confirmEnd(from, () => {
        hasEnded = true;
        halfClosed ??= setTimeout(onIdle, limits.halfClosedMs);
        to.end();
      });
    const onClose = (): void => {
      // What the stream took for an end may have been a reset.
      if (!hasEnded || !from.writableFinished) {
        failure ??=
          from.errored ?? new PosternError('ERR_STREAM_TRUNCATED', 'closed before its end');
        breakOff(to, failure);
      }
      open -= 1;
      if (open > 0) return;
      clearTimeout(halfClosed);
      onOver(failure);
    };
    from.on('error', ignore);
    const reading = pass(from, to, onMoved);
    if (from.readableEnded) onEnd();
    else from.on('end', onEnd);
    if (from.closed) onClose();
    else from.on('close', onClose);
    return reading;
  };
  const readings = [connect(a, b), connect(b, a)];
  for (const reading of readings) reading.resume();
}

/** Hands on what comes, and waits where the other side does not keep up. */
function pass(from: Duplex, to: Duplex, onMoved: () => void): Reading {
  let backlog: Backlog | undefined;
  const gathers = to instanceof Socket && comesInPieces(from);
  const reading = read(from, to, (bytes) => {
    onMoved();
    if (gathers && bytes.length < WORTH_A_WRITE_BYTES) corkForNow(to);
    if (!write(to, bytes)) {
      reading.pause();
      backlog ??= new Backlog(to);
      backlog.set(to instanceof PayloadStream ? to.unsentBytes : to.writableLength);
    }
    return to instanceof PayloadStream || hasAllAway(to);
  });
  to.on('drain', () => {
    onMoved();
    backlog?.set(0);
    reading.resume();
  });
  return reading;
}

/** A socket gives all that it has at one time in one piece, and so does a transport. */
function comesInPieces(from: Duplex): boolean {
  return !(from instanceof Socket || from instanceof TransportStream);
}

/** Reads past the streams of Node where both sides can. */
function read(from: Duplex, to: Duplex, onBytes: PayloadSink): Reading {
  if (from instanceof PayloadStream) return from.readInto(onBytes);
  if (to instanceof PayloadStream) return readLent(from, onBytes);
  if (!(from instanceof Socket)) return readOwned(from, onBytes);
  return readOwned(from, (bytes) => {
    if (onBytes(bytes)) giveBack(bytes);
  });
}

/** @returns false when no more is wanted before 'drain' */
function write(to: Duplex, bytes: Uint8Array): boolean {
  if (to instanceof PayloadStream) return to.send(bytes);
  // Behind what waits already it would keep a whole buffer alive for a few bytes.
  return to.write(to.writableLength === 0 ? bytes : tightly(bytes)) || to.writableLength === 0;
}

/** Small pieces that come at one time leave in one write. */
function corkForNow(to: Duplex): void {
  if (to.writableCorked > 0) return;
  to.cork();
  process.nextTick(uncork, to);
}

/** A piece of this size is not kept waiting for others. */
const WORTH_A_WRITE_BYTES = 16_384;

const IDLE = 'one direction had ended, and the other moved nothing any more';

function uncork(stream: Duplex): void {
  stream.uncork();
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
