/**
 * The lines of a torrc, which are also those of SETCONF (TC 3.3).
 *
 *     Keyword value             # white space ends the keyword; # begins a comment, also in a value
 *     Keyword a long \          # a backslash at its end continues a line; whole comment lines
 *       value                   # may stand in between
 *     Keyword "quoted # value"  # C escapes inside: \" \\ \' \t \xHH \OOO (one to three digits)
 *     Keyword                   # no value: back to the default
 *
 * As Tor's parse_config_line_from_str reads them, but for two dangers: a comment at the end of a
 * continued line ends the value (Tor goes on with the next line), and control characters are refused.
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
  const plain = !/^[" ]|#|[\\ ]$|\t/.test(value);
  return `${key} ${plain ? value : `"${value.replace(/["\\]/g, '\\$&').replace(/\t/g, '\\t')}"`}`;
}

/** Reads one setting; `nextLine` gives the line after, or undefined at the end of the text. */
function parseSetting(line: number, nextLine: () => string | undefined): Setting | undefined {
  const match = /^[ \t\v\f\r]*(.*?)(?=[ \t\v\f\r#]|\\?$)(.*)$/s.exec(nextLine()!)!;
  const key = match[1]!;
  if (key === '' && !match[2]!.startsWith('\\')) return undefined;
  if (key === '') throw fault(line, 'the line begins with a backslash');
  checkCharacters(line, key);
  let rest: string | undefined = match[2]!;
  while (rest !== undefined && /^[ \t\v\f\r]*\\$/.test(rest)) rest = nextUncommented(nextLine);
  const start = trim(rest ?? '');
  const value = start.startsWith('"')
    ? parseQuoted(line, start)
    : trim(joinContinued(rest ?? '', nextLine));
  checkCharacters(line, value);
  return { key, value };
}

function joinContinued(firstPart: string, nextLine: () => string | undefined): string {
  let value = '';
  let part: string | undefined = firstPart;
  while (part !== undefined) {
    const comment = part.indexOf('#');
    if (comment !== -1) return value + part.slice(0, comment);
    if (!part.endsWith('\\')) return value + part;
    value += part.slice(0, -1);
    part = nextUncommented(nextLine);
  }
  return value;
}

function nextUncommented(nextLine: () => string | undefined): string | undefined {
  let line = nextLine();
  let indent = '';
  for (;;) {
    // What stands before a comment belongs to the value, as with Tor.
    const blanks = line === undefined ? undefined : /^([ \t\v\f\r]*)#/.exec(line)?.[1];
    if (blanks === undefined) return line === undefined ? undefined : indent + line;
    indent += blanks;
    line = nextLine();
  }
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
  const simple: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', "'": "'", t: '\t' };
  return text.replace(
    /((?:\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}|\\[0-7]{1,2})+)|\\(.)/gs,
    (_, bytes: string | undefined, letter: string | undefined) => {
      if (bytes !== undefined) return decodeBytes(line, bytes);
      const character = simple[letter!];
      if (character === undefined) {
        throw fault(line, 'a quoted value has an escape other than \\" \\\\ \\\' \\t \\xHH \\OOO');
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

/** A NUL would hide what follows from C programs, an escape sequence would reach a terminal. */
function checkCharacters(line: number, text: string): void {
  if (/(?!\t)\p{Cc}/u.test(text)) {
    throw fault(line, 'control characters are not allowed in a setting');
  }
}

function withoutEnd(line: string | undefined): string | undefined {
  return line?.replace(/\r?\n$/, '');
}

/** By hand: a pattern for the end is tried at each blank in between, and a stranger may send many. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.includes(text[start]!)) start += 1;
  while (end > start && BLANKS.includes(text[end - 1]!)) end -= 1;
  return text.slice(start, end);
}

const BLANKS = ' \t\v\f\r';

function fault(line: number, message: string): PosternError {
  return new PosternError('ERR_CONFIG_SYNTAX', `line ${line}: ${message}`);
}
