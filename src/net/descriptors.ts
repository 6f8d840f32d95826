/**
 * The file descriptors of this process. When none are left, Node closes every further connection right after
 * accepting it, without an event or an error. So it must not come to that, and the operator must hear of it
 * in time.
 */
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { limits } from '../limits.ts';
import { unawaited } from '../unawaited.ts';

/** RLIMIT_NOFILE, which Node raises as far as it may; undefined where the system does not tell. */
const descriptorLimit: number | undefined = readLimit();

/**
 * How many accepted connections may be open at a time, over all listeners: each may need a second one
 * onward, and files and programs need descriptors too.
 */
const acceptedLimit: number =
  descriptorLimit === undefined
    ? Infinity
    : Math.max(1, Math.floor((descriptorLimit - limits.descriptorReserve) / 2));

let accepted = 0;
let timesFull = 0;

/**
 * Whether there is room for one more accepted connection, which then counts until `releaseAccepted`.
 *
 * @param makeRoom closes one that nobody would miss; false where there is none
 */
export function admitAccepted(makeRoom: () => boolean): boolean {
  if (accepted >= acceptedLimit) {
    timesFull += 1;
    if (!makeRoom()) return false;
  }
  accepted += 1;
  return true;
}

/** An admitted connection has closed. */
export function releaseAccepted(): void {
  accepted -= 1;
}

/**
 * Tells when four fifths of the descriptors are in use, and when there was no room for a connection; again only
 * after it has become better in between. Keeps no process alive.
 *
 * @param tell is given a sentence that says what to raise
 * @param until ends it when it is aborted
 */
export function watchDescriptors(tell: (text: string) => void, until: AbortSignal): void {
  if (descriptorLimit === undefined) return;
  const limit = descriptorLimit;
  let isTold = false;
  let known = timesFull;
  const look = async (): Promise<void> => {
    const open = await countOpen();
    const isFull = timesFull > known;
    known = timesFull;
    if (!isFull && open < limit * BETTER) isTold = false;
    if (isTold || !(isFull || open >= limit * TELLING)) return;
    isTold = true;
    tell(
      `${open} of ${limit} file descriptors are in use, and ${accepted} of the ${acceptedLimit} connections that ` +
        'this allows are open; new ones take the place of those that have not proven themselves. ' +
        'Raise the limit on open files: LimitNOFILE= in the systemd unit that starts it, or ulimit -n',
    );
  };
  const timer = setInterval(() => unawaited(look), limits.descriptorCheckMs).unref();
  until.addEventListener('abort', () => clearInterval(timer));
}

const TELLING = 0.8;
const BETTER = 0.7;

/** Counting takes a descriptor itself: where none is left, all are in use. */
async function countOpen(): Promise<number> {
  try {
    return (await readdir('/proc/self/fd')).length;
  } catch {
    return descriptorLimit ?? 0;
  }
}

function readLimit(): number | undefined {
  try {
    const match = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}
