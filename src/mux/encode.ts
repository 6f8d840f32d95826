import { HEADER_BYTES, type FrameHeader } from './messages.ts';

/** Writes a header at an offset, where there must be room for it. @returns the offset behind it */
export function encodeHeader(
  { type, flags, streamId, length }: FrameHeader,
  into: Buffer,
  offset: number,
): number {
  into[offset] = 0;
  into[offset + 1] = type;
  into[offset + 2] = flags >>> 8;
  into[offset + 3] = flags;
  into.writeUInt32BE(streamId, offset + 4);
  into.writeUInt32BE(length, offset + 8);
  return offset + HEADER_BYTES;
}
