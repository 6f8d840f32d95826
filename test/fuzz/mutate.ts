import type { Dice } from './dice.ts';

/** A message with something wrong: bytes turned, lost, doubled, put in; lengths of nothing but ones. */
export function mutate(dice: Dice, message: Buffer): Buffer {
  const at = dice.below(message.length + 1);
  const end = Math.min(at + 1 + dice.below(8), message.length);
  const [head, middle, tail] = [
    message.subarray(0, at),
    message.subarray(at, end),
    message.subarray(end),
  ];
  switch (dice.below(6)) {
    case 0:
      return Buffer.concat([head, middle.map((byte) => byte ^ (1 << dice.below(8))), tail]);
    case 1:
      return Buffer.concat([head, tail]);
    case 2:
      return Buffer.concat([head, middle, middle, tail]);
    case 3:
      return Buffer.concat([head, dice.bytes(1 + dice.below(32)), middle, tail]);
    case 4:
      return Buffer.concat([head, Buffer.alloc(middle.length, dice.pick([0x00, 0xff])), tail]);
    default:
      return head;
  }
}
