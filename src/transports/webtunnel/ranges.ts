/** `Range`, as nginx takes it (RFC 9110, section 14.2). */
import type { Slice } from './web-answer.ts';

/**
 * The parts that are asked for.
 *
 * @returns undefined where the whole file is the answer; none where there is nothing at what is asked for
 */
export function parseRanges(value: string, size: number): readonly Slice[] | undefined {
  if (!/^bytes=/i.test(value)) return undefined;
  const slices: Slice[] = [];
  for (const part of value.slice('bytes='.length).split(',')) {
    const match = /^ *([0-9]{0,15}) *- *([0-9]{0,15}) *$/.exec(part);
    if (match === null || (match[1] === '' && match[2] === '')) return [];
    const isSuffix = match[1] === '';
    const start = isSuffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
    const last = isSuffix || match[2] === '' ? size - 1 : Number(match[2]);
    const end = Math.min(last + 1, size);
    if (start < end) slices.push({ position: start, length: end - start });
    else if (start === 0) return undefined;
  }
  const sum = slices.reduce((bytes, { length }) => bytes + length, 0);
  return sum > size ? undefined : slices;
}
