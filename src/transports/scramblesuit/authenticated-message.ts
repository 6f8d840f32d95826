/**
 * The shape that all handshake messages have:
 *
 *   head ‖ padding ‖ mark(16) ‖ MAC(16)
 *
 * mark = HMAC(head), by which the end of the padding is found; MAC = HMAC(all before it ‖ epoch hour
 * in decimal); both SHA-256, cut to 16 bytes, under a key that only the two ends know.
 */
import type { Clock } from '../../time.ts';
import { equalInConstantTime, type MacKey } from '../../crypto/hash.ts';

const MARK_BYTES = 16;
const MAC_BYTES = 16;
/** What comes behind the padding. */
export const TAIL_BYTES: number = MARK_BYTES + MAC_BYTES;
/** No handshake message is longer. */
export const MAX_MESSAGE_BYTES = 1532;

/** Hours since the Unix epoch. */
export function epochHour(clock: Clock): number {
  return Math.floor(clock.epochMs() / 3_600_000);
}

/** A whole message; owned. */
export function formMessage(
  head: Uint8Array,
  padding: Uint8Array,
  key: MacKey,
  hour: number,
): Buffer {
  const message = Buffer.concat([head, padding, key.mac128(head)]);
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
  const searched = received.subarray(0, MAX_MESSAGE_BYTES);
  const markAt = searched.indexOf(mark, headBytes);
  if (markAt === -1 || markAt + TAIL_BYTES > searched.length) return undefined;
  return markAt + TAIL_BYTES;
}
