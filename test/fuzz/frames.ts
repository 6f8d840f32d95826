import { encodeHeader } from '../../src/mux/encode.ts';
import { FrameFlag, FrameType, HEADER_BYTES } from '../../src/mux/messages.ts';
import type { Dice } from './dice.ts';
import { mutate } from './mutate.ts';

const { syn, ack, fin, rst } = FrameFlag;
const MAX_STREAMS = 30;
const FOUR_GIB = 0xffff_ffff;

/** One frame. @param length what the header says, when that is not the length of the payload */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = EMPTY,
  length: number = payload.length,
): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  encodeHeader({ type, flags, streamId, length }, bytes, 0);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** What a hostile end of a link has at hand. */
export interface LinkEnd {
  /** The first number that it gives to streams of its own: 1 for a client, 2 for a server. */
  readonly firstId: number;
  /** Streams that the other end has opened. */
  readonly openIds?: readonly number[];
  /** What a stream may begin with. */
  readonly opening: () => Buffer;
}

/**
 * What a hostile end of a link says: frames in any order on up to thirty streams, most of them legal, for
 * what is not ends the link; and at the end perhaps something that has none.
 */
export function randomFrames(dice: Dice, { firstId, openIds = [], opening }: LinkEnd): Buffer[] {
  const count = 1 + dice.below(100);
  const frames: Buffer[] = [];
  const ids = [...openIds];
  for (let nextId = firstId; frames.length < count;) {
    const isOpening = ids.length === 0 || (ids.length < MAX_STREAMS && dice.percent(25));
    const next = isOpening
      ? openingFrames(dice, nextId, opening)
      : [laterFrame(dice, dice.pick(ids))];
    if (isOpening) {
      ids.push(nextId);
      nextId += 2;
    }
    frames.push(...next.map((bytes) => (dice.percent(1) ? mutate(dice, bytes) : bytes)));
  }
  if (dice.percent(10)) frames.push(lastFrame(dice, ids[0]!));
  return frames;
}

function openingFrames(dice: Dice, id: number, opening: () => Buffer): Buffer[] {
  const payload = dice.percent(90) ? opening() : EMPTY;
  const frames = dice.percent(50)
    ? [frame(FrameType.data, syn, id, payload)]
    : [frame(FrameType.windowUpdate, syn, id), frame(FrameType.data, 0, id, payload)];
  // Right behind it, so that both are there before anybody has answered.
  if (dice.percent(20)) frames.push(frame(FrameType.windowUpdate, dice.pick([rst, fin]), id));
  return frames;
}

function laterFrame(dice: Dice, id: number): Buffer {
  switch (dice.below(16)) {
    case 0:
      return frame(FrameType.windowUpdate, rst, id);
    case 1:
      return frame(FrameType.windowUpdate, fin, id);
    case 2:
      return frame(FrameType.data, fin, id, dice.bytes(dice.below(16)));
    case 3:
      return frame(FrameType.data, dice.pick([rst, syn, ack, fin | rst, 0xffff]), id);
    case 4:
      return frame(FrameType.ping, dice.pick([syn, ack, 0]), 0, EMPTY, dice.below(4));
    case 5:
      return frame(FrameType.windowUpdate, dice.pick([0, ack]), id, EMPTY, dice.below(1 << 20));
    case 6:
      return frame(FrameType.data, 0, id);
    case 7:
      return dice.percent(20) ? rareFrame(dice, id) : frame(FrameType.windowUpdate, 0, id);
    default:
      return frame(
        FrameType.data,
        0,
        id,
        dice.bytes(1 + dice.below(dice.percent(10) ? 4000 : 100)),
      );
  }
}

/** What ends a link, or its streams. */
function rareFrame(dice: Dice, id: number): Buffer {
  return dice.pick([
    () => frame(FrameType.goAway, 0, 0, EMPTY, dice.below(4)),
    () => frame(FrameType.windowUpdate, 0, id, EMPTY, FOUR_GIB),
    () => frame(FrameType.data, 0, dice.pick([0, id + 2000, id + 1]), dice.bytes(9)),
    () => frame(FrameType.windowUpdate, syn, dice.pick([0, id, id + 1, FOUR_GIB])),
    () => frame(dice.below(256), dice.below(65_536), id, EMPTY, dice.below(FOUR_GIB)),
  ])();
}

function lastFrame(dice: Dice, id: number): Buffer {
  return dice.pick([
    () => frame(FrameType.data, 0, id, dice.bytes(100), FOUR_GIB),
    () => frame(FrameType.data, 0, id, dice.bytes(100), 4000),
    () => frame(FrameType.ping, syn, 0).subarray(0, 1 + dice.below(HEADER_BYTES - 1)),
    () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  ])();
}

const EMPTY = Buffer.alloc(0);
