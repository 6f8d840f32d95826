/**
 * The quoted strings of LOG and STATUS (PT, "Pluggable PT messages"): `"say \"hi\"\n"`.
 */

const letterOf: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
};

const characterOf: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

const asciiOf: Readonly<Record<string, string>> = {
  '\u2018': "'",
  '\u2019': "'",
  '\u201c': '"',
  '\u201d': '"',
  '\u2013': '-',
  '\u2014': '-',
  '\u2011': '-',
  '\u2026': '...',
  '\u00a0': ' ',
  '\u202f': ' ',
  '\u00d7': 'x',
  '\u2192': '->',
};

/** A text in ASCII: typographic characters by what stands for them, every other one as `?`. */
export function toAscii(text: string): string {
  return text.replace(/\P{ASCII}/gu, (character) => asciiOf[character] ?? '?');
}

/**
 * Quotes a text with the subset that every parent reads: printable ASCII and `\" \\ \n \r \t`.
 * Typographic characters become ASCII, anything else `?`. Octal escapes are legal, but arti drops a line that has one.
 */
export function formatCString(text: string): string {
  const body = toAscii(text)
    .replace(/["\\\n\r\t]/g, (character) => `\\${letterOf[character]!}`)
    .replace(/[^\x20-\x7e]/g, '?');
  return `"${body}"`;
}

/**
 * The text of a quoted string, quotes included. Octal escapes are bytes of UTF-8, as goptlib writes
 * them and tor reads them; a backslash before any other character stands for that character.
 *
 * @returns undefined when it is not one whole quoted string
 */
export function parseCString(quoted: string): string | undefined {
  if (!/^"(?:[^"\\]|\\.)*"$/s.test(quoted)) return undefined;
  const pieces = quoted.slice(1, -1).match(/\\[0-7]{1,3}|\\.|[^\\]+/gs) ?? [];
  const bytes: Uint8Array[] = [];
  for (const piece of pieces) {
    if (!piece.startsWith('\\')) {
      bytes.push(Buffer.from(piece, 'utf8'));
    } else if (/^\\[0-7]/.test(piece)) {
      const value = parseInt(piece.slice(1), 8);
      if (value > 0xff) return undefined;
      bytes.push(Uint8Array.of(value));
    } else {
      const escaped = piece.slice(1);
      bytes.push(Buffer.from(characterOf[escaped] ?? escaped, 'utf8'));
    }
  }
  return Buffer.concat(bytes).toString('utf8');
}
