/** How the faulty PT reads the arguments of a bridge line, and its key among them. */
import { has } from './fault.ts';

/** `key=value;key=value`, with backslash escapes; undefined when it is not that. */
export function parseArguments(text: string): Map<string, string> | undefined {
  const args = new Map<string, string>();
  if (text === '') return args;
  for (const pair of text.match(/(?:\\[\s\S]?|[^;\\])+/g) ?? []) {
    const match = /^((?:\\[\s\S]|[^\\=])+)=((?:\\[\s\S]|[^\\])*)$/.exec(pair);
    if (match === null) {
      if (has('lenient-arguments')) continue;
      return undefined;
    }
    args.set(unescapeBackslashes(match[1]!), unescapeBackslashes(match[2]!));
  }
  return args;
}

export function unescapeBackslashes(text: string): string {
  return text.replace(/\\([\s\S])/g, '$1');
}

export function keyOf(args: ReadonlyMap<string, string> | undefined): number | undefined {
  const key = /^key-(\d+)$/.exec(args?.get('key') ?? '')?.[1];
  return key === undefined ? undefined : Number(key) & 0xff;
}
