import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { formatQuotedString } from './words.ts';

/**
 * The bytes of one command, `KEYWORD arguments`, or with data `+KEYWORD arguments` and the data's
 * lines, dots stuffed.
 *
 * No input makes more than one command of it: line ends and NUL are refused in the line, and so is
 * a `+` of the caller's own, after which Tor would take the commands that follow for data.
 *
 * @param line the keyword and its arguments, as in the control-spec
 * @param data lines that end in LF or CR LF; a line end after the last one is optional
 * @throws PosternError `ERR_TOR_CONTROL_COMMAND`
 */
export function encodeCommand(line: string, data?: string): Buffer {
  if (!/^[A-Za-z][A-Za-z0-9_]*(?: [^\r\n\0]*)?$/.test(line)) {
    throw commandError('a command is a keyword and arguments on one line, without NUL');
  }
  const text = data === undefined ? `${line}\r\n` : `+${line}\r\n${formatData(data)}`;
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > limits.torControlCommandBytes) throw commandError('a command is too long');
  return bytes;
}

function formatData(data: string): string {
  if (data.includes('\0')) throw commandError('the data of a command contains NUL');
  const lines = data.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  const stuffed = lines.map((line) => (line.startsWith('.') ? `.${line}` : line));
  return [...stuffed, '.', ''].join('\r\n');
}

/**
 * Words of a command, joined by spaces: keys, event names, addresses.
 *
 * @throws PosternError `ERR_TOR_CONTROL_COMMAND` when one of them would be none, or two
 */
export function formatWords(words: readonly string[]): string {
  for (const word of words) {
    if (!/^[^\s"=\0]+$/.test(word)) {
      throw commandError('a key, name or address is empty, or has a space, quote or equals sign');
    }
  }
  return words.join(' ');
}

/** A setting of SETCONF and RESETCONF; without a value it goes back to its default. */
export interface TorSetting {
  readonly key: string;
  readonly value?: string | undefined;
}

/**
 * `key="value"` for each setting, joined by spaces.
 *
 * @throws PosternError `ERR_TOR_CONTROL_COMMAND`
 */
export function formatSettings(settings: readonly TorSetting[]): string {
  return settings
    .map(({ key, value }) => {
      const name = formatWords([key]);
      return value === undefined ? name : `${name}=${formatQuotedString(value)}`;
    })
    .join(' ');
}

function commandError(what: string): PosternError {
  return new PosternError('ERR_TOR_CONTROL_COMMAND', what);
}
