/** What a decoder answers when the bytes so far may be the start of a message, but not a whole one. */
export const NEED_MORE: unique symbol = Symbol('need more bytes');

/** A message from the front of a byte stream, and how many bytes it took. */
export interface Decoded<T> {
  readonly message: T;
  /** The bytes that the message took, to be skipped in the queue. */
  readonly length: number;
}
