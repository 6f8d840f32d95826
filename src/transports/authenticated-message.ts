/**
 * The shape that the handshake messages of obfs4 and ScrambleSuit have:
 *
 *   head ‖ padding ‖ mark(16) ‖ MAC(16)
 *
 * mark = HMAC of the head, or of its start, by which the end of the padding is found; MAC = HMAC(all
 * before it ‖ epoch hour in decimal); both SHA-256, cut to 16 bytes, under a key that only the two ends
 * know. Each transport has its own maximum length, to which its callers cut a message before they search it.
 */
import { equalInConstantTime, type MacKey } from '../crypto/hash.ts';
import type { Clock } from '../time.ts';

const MARK_BYTES = 16;
const MAC_BYTES = 16;
/** The part behind the padding. */
export const TAIL_BYTES: number = MARK_BYTES + MAC_BYTES;

/** Hours since the Unix epoch. */
export function epochHour(clock: Clock): number {
  return Math.floor(clock.epochMs() / 3_600_000);
}

/** The hours that a client's clock may show: this one, the one before and the one after. */
export function epochHoursAround(clock: Clock): readonly number[] {
  const now = epochHour(clock);
  return [now, now - 1, now + 1];
}

/** A whole message; owned. */
export function formMessage(
  headAndPadding: readonly Uint8Array[],
  mark: Uint8Array,
  key: MacKey,
  hour: number,
): Buffer {
  const message = Buffer.concat([...headAndPadding, mark]);
  return Buffer.concat([message, key.mac128(message, Buffer.from(String(hour)))]);
}

/**
 * The hour that a message's MAC was made in; every hour is tried, whichever matches.
 *
 * @param message up to and with the MAC
 */
export function matchHour(
  message: Uint8Array,
  key: MacKey,
  hours: readonly number[],
): number | undefined {
  const macAt = message.length - MAC_BYTES;
  let matching: number | undefined;
  for (const hour of hours) {
    const expected = key.mac128(message.subarray(0, macAt), Buffer.from(String(hour)));
    if (equalInConstantTime(expected, message.subarray(macAt))) matching = hour;
  }
  return matching;
}

/** The MAC of a whole message, by which a replay is known. */
export function macOf(message: Uint8Array): Uint8Array {
  return message.subarray(message.length - MAC_BYTES);
}

/**
 * Where a message ends whose padding ends with this mark: the first place behind the head that has it.
 *
 * @returns undefined while the mark, or the MAC behind it, has not come
 */
export function findMessageEnd(
  received: Buffer,
  headBytes: number,
  mark: Uint8Array,
): number | undefined {
  const markAt = received.indexOf(mark, headBytes);
  if (markAt === -1 || markAt + TAIL_BYTES > received.length) return undefined;
  return markAt + TAIL_BYTES;
}

/** Whether a message whose sender has nothing to say behind it is whole: its mark is where it must be. */
export function endsWithMark(received: Uint8Array, mark: Uint8Array): boolean {
  const markAt = received.length - TAIL_BYTES;
  return equalInConstantTime(received.subarray(markAt, markAt + MARK_BYTES), mark);
}
