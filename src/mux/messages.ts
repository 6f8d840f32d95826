/**
 * yamux as values: the public specification of hashicorp/yamux, version 0. Many streams share one
 * connection; each frame is a header of twelve bytes, and a data frame's payload behind it.
 *
 *     +---------+------+-------+-----------+--------+
 *     | version | type | flags | stream ID | length |
 *     |    1    |  1   |   2   |     4     |   4    |   big-endian
 *     +---------+------+-------+-----------+--------+
 */

/** What a frame is. */
export const FrameType = {
  /** Payload of a stream; `length` bytes follow. */
  data: 0,
  /** `length` more bytes may be sent on a stream. Also what carries flags where there is no payload. */
  windowUpdate: 1,
  /** On stream 0: a question with SYN, its answer with ACK; `length` is any number. */
  ping: 2,
  /** On stream 0: no new streams; `length` is a `GoAwayReason`. */
  goAway: 3,
} as const;

/** What a frame says besides, on data and on window updates. */
export const FrameFlag = {
  /** The stream begins. */
  syn: 1,
  /** The stream is taken. */
  ack: 2,
  /** The sender's direction ends. */
  fin: 4,
  /** The stream breaks, both directions of it. */
  rst: 8,
} as const;

/** Why a session takes no new streams. */
export const GoAwayReason = { normal: 0, protocolError: 1, internalError: 2 } as const;

/** One frame's header. */
export interface FrameHeader {
  readonly type: number;
  readonly flags: number;
  /** Odd where the session's client opened it, even where its server did; 0 is the session. */
  readonly streamId: number;
  /** Bytes of payload, bytes of window, a ping's number, or a reason. */
  readonly length: number;
}

export const HEADER_BYTES = 12;

/** What each direction of a new stream may send before the first window update. */
export const INITIAL_WINDOW_BYTES = 262_144;
