/**
 * `%include PATH` in a torrc, as Tor has it: the lines of other files stand in its place.
 *
 * A relative path starts at the working directory. `*` and `?` make a pattern, and stand for themselves behind a
 * backslash; names that begin with a dot are found only by a pattern that does. A directory means all files in
 * it, in the order of their names, but not hidden ones and not those of its directories.
 */
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { parseTorrcFile, type TorrcPiece } from './torrc.ts';

/** A file that a `%include` means. */
interface IncludedFile {
  readonly path: string;
  readonly text: string;
}

/**
 * Finds the files of one `%include`, in their order.
 *
 * @throws PosternError `ERR_CONFIG_FILE` when there are none, and it is no pattern
 */
export type FindIncluded = (pattern: string) => Promise<readonly IncludedFile[]>;

/** Whether a torrc takes lines from other files. */
export function hasInclude(text: string): boolean {
  return parseTorrcFile(text).some(isInclude);
}

/**
 * The pieces of a torrc, those of the files that it includes among them; each of those says where it is from.
 *
 * @throws PosternError `ERR_CONFIG_SYNTAX`, `ERR_CONFIG_FILE`, naming line and file
 */
export async function expandTorrc(
  text: string,
  find: FindIncluded,
): Promise<readonly TorrcPiece[]> {
  let bytes = 0;
  const expand = async (given: string, file: string | undefined, depth: number) => {
    const pieces: TorrcPiece[] = [];
    for (const piece of parseTorrcFile(given, file)) {
      if (!isInclude(piece)) {
        pieces.push(piece);
        continue;
      }
      const place = `%include (${placeOf(piece)})`;
      if (depth >= limits.torrcIncludes) {
        throw fault(`${place}: more than ${limits.torrcIncludes} files, one inside the other`);
      }
      const files = await find(piece.setting!.value).catch((error: unknown) => {
        throw error instanceof PosternError ? fault(`${place}: ${error.message}`, error) : error;
      });
      for (const included of files) {
        bytes += included.text.length;
        if (bytes > limits.torrcBytes)
          throw fault(`${place}: more than ${limits.torrcBytes} bytes`);
        pieces.push(...(await expand(included.text, included.path, depth + 1)));
      }
    }
    return pieces;
  };
  // The torrc itself is the first, for Tor too.
  return expand(text, undefined, 1);
}

/** Where a piece stands, as it is named in an error. */
export function placeOf({ line, file }: Pick<TorrcPiece, 'line' | 'file'>): string {
  return file === undefined ? `line ${line}` : `line ${line} of ${file}`;
}

/** Whether a path is a pattern: only then are brackets and backslashes anything else than themselves. */
export function isPattern(path: string): boolean {
  return /^(?:[^\\]|\\.)*?[*?]/su.test(path);
}

/** One part of a pattern, between slashes: a name, or what a name has to be like (glob(7)). */
export function parsePatternPart(part: string): string | RegExp {
  const words = [...part.matchAll(/\\(.)|\[(!?)(\]?[^\]]*)\]|(.)/gsu)];
  if (words.every(([, , , set, plain]) => set === undefined && plain !== '*' && plain !== '?')) {
    return words.map(([, escaped, , , plain]) => escaped ?? plain!).join('');
  }
  const source = words
    .map(([, escaped, not, set, plain]) => {
      if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replace(/[\\\]^]/g, '\\$&')}]`;
      if (plain === '*') return '.*';
      return plain === '?' ? '.' : (escaped ?? plain!).replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    })
    .join('');
  return new RegExp(`^${part.startsWith('.') ? '' : '(?!\\.)'}${source}$`, 'su');
}

function isInclude({ setting }: TorrcPiece): boolean {
  return setting?.key === '%include';
}

function fault(message: string, cause?: unknown): PosternError {
  return new PosternError('ERR_CONFIG_FILE', message, { cause });
}
