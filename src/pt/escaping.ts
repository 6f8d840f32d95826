/**
 * Backslash escaping, the part that the three argument grammars have in common. What each of them
 * escapes and where it splits stays with the grammar.
 */

/** Puts a backslash before every character of `text` that `isSpecial` (a global pattern) matches. */
export function addEscapes(text: string, isSpecial: RegExp): string {
  return text.replace(isSpecial, '\\$&');
}

/**
 * Takes the backslashes away: a backslash and any character stand for that character.
 *
 * @returns undefined when a lone backslash ends the text
 */
function removeEscapes(text: string): string | undefined {
  let backslashes = 0;
  while (text[text.length - 1 - backslashes] === '\\') backslashes += 1;
  if (backslashes % 2 === 1) return undefined;
  return text.replace(/\\(.)/gs, '$1');
}

/** The pieces of `text` between unescaped separators, escapes untouched. */
export function splitUnescaped(text: string, separator: string): string[] {
  const pieces: string[] = [];
  let rest: string | undefined = text;
  while (rest !== undefined) {
    const [piece, after]: Halves = splitAtFirst(rest, separator);
    pieces.push(piece);
    rest = after;
  }
  return pieces;
}

/** `text` before and after its first unescaped separator; `undefined` after when there is none. */
export function splitAtFirst(text: string, separator: string): Halves {
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === separator) return [text.slice(0, index), text.slice(index + 1)];
  }
  return [text, undefined];
}

/** What stands before a separator, and after it. */
export type Halves = readonly [before: string, after: string | undefined];

/**
 * One `<Key>=<Value>` with escapes, split at the first unescaped '='. Later ones belong to the
 * value: tor and goptlib do not escape them in every grammar.
 *
 * @returns the pair, or the fault as a phrase that quotes nothing
 */
export function parsePair(text: string): readonly [key: string, value: string] | PairFault {
  const [rawKey, rawValue] = splitAtFirst(text, '=');
  const key = removeEscapes(rawKey);
  const value = rawValue === undefined ? undefined : removeEscapes(rawValue);
  if (key === undefined || (rawValue !== undefined && value === undefined)) {
    return 'ends in a lone backslash';
  }
  if (value === undefined) return "has no '='";
  return key === '' ? 'has an empty key' : [key, value];
}

/** Why a pair is malformed. */
export type PairFault = 'ends in a lone backslash' | "has no '='" | 'has an empty key';
