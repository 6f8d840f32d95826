/**
 * The small grammar within the lines of Tor's control protocol: words, quoted strings, and
 * `KEYWORD=value` pairs.
 */
import { PosternError } from '../errors.ts';
import { parseCString } from '../pt/c-string.ts';

/**
 * A quoted string of a command: only the quote and the backslash are escaped, which Tor reads alike
 * wherever it expects a QuotedString and wherever a CString ("Notes on an escaping bug").
 *
 * @throws PosternError `ERR_TOR_CONTROL_COMMAND` for CR, LF and NUL, which would end the command
 */
export function formatQuotedString(text: string): string {
  if (/[\r\n\0]/.test(text)) {
    throw new PosternError('ERR_TOR_CONTROL_COMMAND', 'a value contains a line end or NUL');
  }
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** A value that Tor quotes only where it has to; C escapes are read as bytes of UTF-8. */
export function parseValue(text: string): string {
  return text.startsWith('"') ? (parseCString(text) ?? text) : text;
}

/** `key=value` at its first equals sign; no value without one. */
export function parseSetting(text: string): {
  readonly key: string;
  readonly value: string | undefined;
} {
  const equals = text.indexOf('=');
  if (equals === -1) return { key: text, value: undefined };
  return { key: text.slice(0, equals), value: parseValue(text.slice(equals + 1)) };
}

/** The first `count` words of a line, fewer when it has fewer, and what stands behind them. */
export function takeWords(text: string, count: number): readonly [words: string[], rest: string] {
  const words: string[] = [];
  let rest = text;
  while (words.length < count && rest !== '') {
    const space = rest.indexOf(' ');
    const end = space === -1 ? rest.length : space;
    words.push(rest.slice(0, end));
    rest = rest.slice(end + 1);
  }
  return [words, rest];
}

/**
 * The `KEYWORD=value` pairs of a line, values without their quotes, by keyword in the order in which
 * they stand. Words of other forms are skipped, as controllers must: a newer Tor may add some.
 *
 * @returns undefined when a quoted string has no end
 */
export function parseKeywords(text: string): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  const word = / *(?:([A-Za-z][A-Za-z0-9_]*)=)?("[^"\\]*(?:\\.[^"\\]*)*"(?= |$)|[^ ]*)/sy;
  while (word.lastIndex < text.length) {
    const [, key, value] = word.exec(text)!;
    if (value!.startsWith('"')) {
      const unquoted = parseCString(value!);
      if (unquoted === undefined) return undefined;
      if (key !== undefined) found.set(key, unquoted);
    } else if (key !== undefined) {
      found.set(key, value!);
    }
  }
  return found;
}
