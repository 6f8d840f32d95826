/**
 * A bridge line as people paste it: out of a web page, a chat, a mail, a numbered list. Everything that
 * stands in a bridge line is ASCII without white space inside a word, so that what came along can be told from it;
 * it is taken off where only one meaning is possible, and named where there are two.
 */
import { PosternError } from '../errors.ts';
import { parseIpEndpoint } from './address.ts';

/** What nobody sees, and what it is called: `\p{Default_Ignorable_Code_Point}`, the common ones by name. */
const invisibleNames: Readonly<Record<string, string>> = {
  '\u00ad': 'a soft hyphen',
  '\u200b': 'a zero-width space',
  '\u200c': 'a zero-width non-joiner',
  '\u200d': 'a zero-width joiner',
  '\u200e': 'a left-to-right mark',
  '\u200f': 'a right-to-left mark',
  '\u2060': 'a word joiner',
  '\ufeff': 'a byte order mark',
};

const invisible = /[\p{Default_Ignorable_Code_Point}\ufeff]+/gu;

/** Hyphens and dashes of typography, which stand for the one of ASCII. */
const hyphens = /[\u2010-\u2015\u2212]/g;

/** What a list, a quotation, a torrc or a programmer puts before a line, piece by piece. */
const before =
  /^(?:\s+|[>*\u2022\u2023\u25aa\u25cf\u25e6\u00b7+-]\s*|[0-9]{1,3}[.)]\s+|["'`\u2018\u2019\u201c\u201d\u201e\u00ab]|bridge:?(?=\s|$))/iu;

/** What stands behind one. */
const behind = /(?:\s|[,"'`\u2018\u2019\u201c\u201d\u00bb])+$/u;

/**
 * The words of the one line that a pasted text holds. A line that was wrapped is put together again.
 *
 * @throws PosternError `ERR_PT_BRIDGE_LINE` for several bridge lines, and for an invisible character that
 *   may be nothing or may stand for a space; the message quotes no value
 */
export function wordsOfPastedLine(text: string): readonly string[] {
  const lines = text.replace(/&nbsp;/gi, ' ').split(/[\r\n]+|<br\s*\/?>/i);
  const words = lines.flatMap((line) => {
    const bare = withoutInvisible(line).replace(hyphens, '-');
    return takeOff(bare)
      .split(/\s+/)
      .filter((word) => word !== '');
  });
  const addresses = words.filter((word) => parseIpEndpoint(word) !== undefined).length;
  if (addresses > 1) throw fault(`these are ${numberOf(addresses)} lines; one is needed`);
  return words;
}

function withoutInvisible(line: string): string {
  return line.replace(invisible, (found, offset: number) => {
    const isInside = /\S$/.test(line.slice(0, offset));
    const [key] = /^[a-z][a-z0-9-]*=(?=[^=\s])/.exec(line.slice(offset + found.length)) ?? [];
    if (isInside && key !== undefined) {
      throw fault(
        `there is ${invisibleNames[found[0]!] ?? 'an invisible character'} before ${key}; ` +
          'put a space in its place, or nothing',
      );
    }
    return '';
  });
}

function takeOff(line: string): string {
  let rest = line;
  for (let match = before.exec(rest); match !== null; match = before.exec(rest)) {
    rest = rest.slice(match[0].length);
  }
  return rest.replace(behind, '');
}

function numberOf(count: number): string {
  return ['two', 'three', 'four'][count - 2] ?? String(count);
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_BRIDGE_LINE', message);
}
