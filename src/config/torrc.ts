/**
 * The lines of a torrc, which are also those of SETCONF (TC 3.3).
 *
 *     Keyword value             # white space ends the keyword; # begins a comment, also in a value
 *     Keyword a long \          # a backslash at its end continues a line; whole comment lines
 *       value                   # may stand in between
 *     Keyword "quoted # value"  # C escapes inside: \" \\ \' \n \r \t \xHH \OOO (one to three digits)
 *     Keyword                   # no value: back to the default
 *
 * As Tor's parse_config_line_from_str reads them, oddities included: a comment at the end of a continued
 * line goes on with the next one, and a backslash behind which nothing comes stays in the value.
 */
import { PosternError } from '../errors.ts';

/** One setting as a torrc has it. */
export interface Setting {
  /** The keyword as it was written, of any case. */
  readonly key: string;
  /** Without quotes and comment; empty when there is none. */
  readonly value: string;
}

/** A stretch of a torrc: one setting with all its lines, or one line without a setting. */
export interface TorrcPiece {
  /** The text as it stands there, with its line ends. All pieces joined are the whole text. */
  readonly raw: string;
  /** The number of its first line, from 1. */
  readonly line: number;
  /** The file that it is from; absent in the torrc itself. */
  readonly file?: string;
  /** Undefined for a comment or a blank line. */
  readonly setting?: Setting;
}

/**
 * Splits a torrc, or the body of SETCONF, into pieces.
 *
 * @throws PosternError `ERR_CONFIG_SYNTAX`, naming the line
 */
export function parseTorrc(text: string): readonly TorrcPiece[] {
  const lines = text.split(/(?<=\n)/);
  const pieces: TorrcPiece[] = [];
  for (let next = 0; next < lines.length && lines[next] !== '';) {
    const first = next;
    const setting = parseSetting(first + 1, () => withoutEnd(lines[next++]));
    const raw = lines.slice(first, next).join('');
    pieces.push({ raw, line: first + 1, ...(setting !== undefined && { setting }) });
  }
  return pieces;
}

/**
 * The same for a file, where Tor takes two marks more before a keyword: `+` for one line more, as every line
 * is here, and `/` for back to the default, whatever stands behind it.
 *
 * @param file its name, when it is not the torrc itself
 * @throws PosternError `ERR_CONFIG_SYNTAX`, naming the line
 */
export function parseTorrcFile(text: string, file?: string): readonly TorrcPiece[] {
  const from = file === undefined ? {} : { file };
  try {
    return parseTorrc(text.replace(/^\uFEFF/, '')).map(({ setting, ...piece }) => ({
      ...piece,
      ...from,
      ...(setting !== undefined && { setting: withoutMark(setting) }),
    }));
  } catch (error) {
    if (!(error instanceof PosternError) || file === undefined) throw error;
    throw new PosternError(error.code, error.message.replace(/^line \d+/, `$& of ${file}`));
  }
}

function withoutMark({ key, value }: Setting): Setting {
  if (key.startsWith('/')) return { key: key.slice(1), value: '' };
  return { key: key.replace(/^\+/, ''), value };
}

/**
 * One line, without its end, that reads back as this key and this value; quoted where that is needed.
 *
 * @throws PosternError `ERR_CONFIG_SYNTAX` for a key or value that no line can carry
 */
export function formatSetting({ key, value }: Setting): string {
  if (!/^[^\s#"\\]+$/.test(key)) {
    throw fault(1, 'a key cannot be empty or contain white space, quotes, # or a backslash');
  }
  checkCharacters(1, value);
  if (value === '') return key;
  const isPlain = !/^[" ]|#|[\\ ]$|\p{Cc}/u.test(value);
  return `${key} ${isPlain ? value : quoteValue(value)}`;
}

/** A value in quotes, with an escape for each character that would steer a terminal. */
export function quoteValue(value: string): string {
  const escaped = value
    .replace(/["\\]/g, '\\$&')
    .replace(/[\n\r\t]/g, (character) => escapes.get(character)!)
    .replace(/\p{Cc}/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join(''),
    );
  return `"${escaped}"`;
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/** Reads one setting; `nextLine` gives the line after, or undefined at the end of the text. */
function parseSetting(line: number, nextLine: () => string | undefined): Setting | undefined {
  const match = /^[ \t\v\f\r]*(.*?)(?=[ \t\v\f\r#]|\\?$)(.*)$/s.exec(nextLine()!)!;
  const key = match[1]!;
  if (key === '' && !match[2]!.startsWith('\\')) return undefined;
  if (key === '') throw fault(line, 'the line begins with a backslash');
  if (/\p{Cc}/u.test(key)) throw fault(line, 'control characters are not allowed in a keyword');
  const start = trim(match[2]!);
  const value = start.startsWith('"') ? parseQuoted(line, start) : readPlain(match[2]!, nextLine);
  checkCharacters(line, value);
  return { key, value };
}

/** Whatever of it stands on the lines behind. */
function readPlain(firstPart: string, nextLine: () => string | undefined): string {
  const comment = firstPart.indexOf('#');
  if (comment !== -1 || !firstPart.endsWith('\\')) {
    return trim(comment === -1 ? firstPart : firstPart.slice(0, comment));
  }
  let text = firstPart;
  let part: string | undefined = firstPart;
  // Behind a continued line a comment goes on with the next line, too, wherever it begins.
  while (part !== undefined && (part.endsWith('\\') || part.includes('#'))) {
    part = nextLine();
    text += `\n${part ?? ''}`;
  }
  // Blanks at the end go first, and with them the line end that a last backslash would join.
  return trim(trim(text).replace(/#[^\n]*\n?|\\\n/g, ''));
}

function parseQuoted(line: number, text: string): string {
  const match = /^"((?:[^"\\]|\\.)*)"[ \t\v\f\r]*(?:#.*)?$/s.exec(text);
  if (match === null) {
    throw fault(line, 'a quoted value must end with a quote, on its line, and nothing after it');
  }
  return decodeEscapes(line, match[1]!);
}

/** C escapes stand for bytes, and the bytes together for UTF-8: that is how Tor writes them. */
function decodeEscapes(line: number, text: string): string {
  const simple: Readonly<Record<string, string>> = {
    ...{ '"': '"', '\\': '\\', "'": "'" },
    ...{ n: '\n', r: '\r', t: '\t' },
  };
  return text.replace(
    /((?:\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}|\\[0-7]{1,2})+)|\\(.)/gs,
    (_, bytes: string | undefined, letter: string | undefined) => {
      if (bytes !== undefined) return decodeBytes(line, bytes);
      const character = simple[letter!];
      if (character === undefined) {
        throw fault(
          line,
          'a quoted value has an escape other than \\" \\\\ \\\' \\n \\r \\t \\xHH \\OOO',
        );
      }
      return character;
    },
  );
}

function decodeBytes(line: number, escapes: string): string {
  const bytes = escapes
    .slice(1)
    .split('\\')
    .map((code) => (code.startsWith('x') ? parseInt(code.slice(1), 16) : parseInt(code, 8)));
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(bytes),
    );
  } catch {
    throw fault(line, 'the escapes of a quoted value are not UTF-8');
  }
}

/** Behind a NUL nothing is there for C programs, Tor among them. */
function checkCharacters(line: number, text: string): void {
  if (text.includes('\0')) throw fault(line, 'a setting cannot contain a NUL');
}

/** Nor its carriage returns, wherever they stand: Tor takes them from the whole file. */
function withoutEnd(line: string | undefined): string | undefined {
  return line?.replace(/\r|\n$/g, '');
}

/** By hand: a regular expression would try each blank in between, and a stranger may send many. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.includes(text[start]!)) start += 1;
  while (end > start && BLANKS.includes(text[end - 1]!)) end -= 1;
  return text.slice(start, end);
}

const BLANKS = ' \t\v\f\r\n';

function fault(line: number, message: string): PosternError {
  return new PosternError('ERR_CONFIG_SYNTAX', `line ${line}: ${message}`);
}
