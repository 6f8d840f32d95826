/** What the checks of a TC server are made of. */
import type { Check } from '../examine.ts';
import { codeOf, confLines, decodePair, type Frame, hex, type Pair, Type } from './frames.ts';
import type { TcLab } from './lab.ts';
import type { Expected } from './session.ts';

/** A check of a TC server. */
export type TcCheck = Check<TcLab>;

/** One frame, and nothing behind it. */
function single(text: string, isMet: (frame: Frame) => boolean): Expected {
  return {
    text,
    isMet: ({ frames, silence }) =>
      frames.length === 1 && silence === undefined && isMet(frames[0]!),
  };
}

/** A single DONE. */
export const done: Expected = single('one DONE', ({ type }) => type === Type.done);

/** A single ERROR with a code. */
export function error(code: number): Expected {
  return single(
    `one ERROR ${hex(code)}, and a connection that goes on`,
    (frame) => frame.type === Type.error && codeOf(frame) === code,
  );
}

/** A single CONFVALUE with these lines. */
export function values(...lines: readonly string[]): Expected {
  return single(
    lines.length === 0 ? 'one CONFVALUE without a line' : `one CONFVALUE “${lines.join('\\n')}”`,
    (frame) => isSame(confLines(frame), lines),
  );
}

/** A single ADDRESSMAPPED, with this pair where one is given. */
export function mapped(pair?: Pair): Expected {
  return single(
    pair === undefined ? 'one ADDRESSMAPPED' : `one ADDRESSMAPPED ${pair.join(' → ')}`,
    ({ type, body }) => {
      const found = decodePair(body);
      return type === Type.addressMapped && found !== undefined && isSame(found, pair ?? found);
    },
  );
}

/** Whether two lists have the same members in the same order. */
export function isSame(one: readonly string[] | undefined, other: readonly string[]): boolean {
  return one?.length === other.length && one.every((item, index) => item === other[index]);
}
