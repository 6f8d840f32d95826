/** Which options there are and how their lines are read, for each engine. */
import { type OptionName, optionGroups, optionTable } from './options.ts';
import { nearestName } from './near-miss.ts';
import { obsoleteTorOptions, torAliases, torOptions } from './tor-options.ts';
import type { TorrcPiece } from './torrc.ts';
import type { ValueType } from './value-types.ts';

/** How the lines of one option are read and kept. */
interface LineRules {
  readonly type: Pick<ValueType<unknown>, 'parse' | 'format'>;
  /** Whether every line counts (`Bridge`), or only the last. */
  readonly isList: boolean;
  /** Whether it can be set only before the start. */
  readonly isFixed?: true;
}

/** What a keyword stands for, in its canonical spelling. */
export type Keyword =
  | { readonly kind: 'option'; readonly name: string; readonly rules: LineRules }
  /** An option whose lines mean something only together with those of its group. */
  | { readonly kind: 'member'; readonly name: string; readonly group: string }
  | { readonly kind: 'group'; readonly name: string };

/** The options of one engine. */
export interface Vocabulary {
  /** What a keyword of any letter case stands for; undefined for an unknown one. No abbreviations. */
  find(text: string): Keyword | undefined;
  /** The same of a torrc, where Tor takes the beginning of a name for the first of its names that begins so. */
  findWritten(text: string): Keyword | undefined;
  /** What to say of a keyword that is not found, as a phrase. */
  explainUnknown(text: string): string;
  /** The options whose values this program reads; the others it only hands on. */
  readonly read: ReadonlySet<OptionName>;
  /**
   * Whether somebody else keeps an option or a group, in a file that is not ours: a Tor that ran
   * before we came.
   */
  isKeptElsewhere(home: string): boolean;
}

/** What is found when every letter is in lower case. */
type Keywords = ReadonlyMap<string, Keyword>;

/** The options of the embedded engine: the whole table and nothing else. */
export const embeddedVocabulary: Vocabulary = createVocabulary(
  new Map([
    ...optionKeywords(Object.keys(optionTable) as OptionName[]),
    ...Object.entries(optionGroups).flatMap(([group, { members }]) =>
      groupKeywords(group, Object.keys(members)),
    ),
  ]),
  Object.keys(optionTable) as OptionName[],
  {
    aliases: new Map([
      ['virtualaddrnetwork', 'virtualaddrnetworkipv4'],
      ['bandwidthratebytes', 'bandwidthrate'],
      ['bandwidthburstbytes', 'bandwidthburst'],
    ]),
    explainUnknown: (text) => {
      const name = firstOfTor(text) ?? text;
      if (isOneOf(torOptions, name) || isOneOf(torAliases, text)) {
        return 'this is Tor’s: add `Engine tor`, or leave the line out';
      }
      if (isOneOf(obsoleteTorOptions, name)) return 'Tor itself has it no more: leave the line out';
      return undefined;
    },
  },
);

/**
 * The options of a Tor: those of the table that are for every engine, and for the rest whatever this
 * Tor knows. Values are handed on as they are; Tor judges them.
 *
 * @param names all option names of that Tor, in its own spelling; none when they are not known yet:
 *   every name is then taken
 * @param isKeptElsewhere whether that Tor has a torrc of its own, in which its options stand
 */
export function torVocabulary(
  names: readonly string[] | undefined,
  { isKeptElsewhere = false }: { readonly isKeptElsewhere?: boolean } = {},
): Vocabulary {
  // Of several lines of a single-valued option Tor itself takes the last.
  const rules: LineRules = { type: verbatim, isList: true };
  const keywordOf = (name: string): Keyword =>
    isHiddenServiceMember(name)
      ? { kind: 'member', name, group: HIDDEN_SERVICES }
      : { kind: 'option', name, rules };
  const ours = (Object.keys(optionTable) as OptionName[]).filter(
    (name) => optionTable[name].isForEveryEngine,
  );
  const keywords = new Map([
    // Options that Tor once had it still takes, with a warning.
    ...(names === undefined ? [] : [...obsoleteTorOptions, ...torAliases, ...names]).map(
      (name) => [name.toLowerCase(), keywordOf(name)] as const,
    ),
    // In its canonical spelling also where no names are known: the lines of a group begin with it.
    ...groupKeywords(HIDDEN_SERVICES, [optionGroups[HIDDEN_SERVICES]!.head]),
    ...optionKeywords(ours),
  ]);
  return createVocabulary(keywords, ours, {
    isKeptElsewhere,
    explainUnknown: (text) =>
      isOneOf(torOptions, text)
        ? 'how this Tor is controlled is not to be set: leave the line out'
        : undefined,
    ...(names === undefined && { otherwise: keywordOf }),
  });
}

/** Which engine a torrc asks for. What is wrong with it shows when the whole is read. */
export function readEngine(pieces: readonly TorrcPiece[]): 'embedded' | 'tor' {
  const lines = pieces.flatMap(({ setting }) => setting ?? []);
  const last = lines.findLast(({ key }) => key.toLowerCase() === 'engine');
  return last?.value.toLowerCase() === 'tor' ? 'tor' : 'embedded';
}

const HIDDEN_SERVICES = 'HiddenServiceOptions';

function isOneOf(names: readonly string[], text: string): boolean {
  return names.some((name) => name.toLowerCase() === text.toLowerCase());
}

/** In the order in which Tor looks through them. */
const namesOfTor = [...torOptions, ...obsoleteTorOptions]
  .map((name) => name.toLowerCase())
  .toSorted((one, other) => (one < other ? -1 : 1));

/** What Tor takes the beginning of a name for. */
function firstOfTor(text: string): string | undefined {
  return namesOfTor.find((name) => name.startsWith(text.toLowerCase()));
}

/** Taken as it is. */
const verbatim: LineRules['type'] = { parse: (text) => text, format: String };

/** Options of Tor that begin like those of the group but stand for themselves. */
const standAlone: ReadonlySet<string> = new Set([
  'hiddenservicenonanonymousmode',
  'hiddenservicesinglehopmode',
  'hiddenservicestatistics',
]);

function isHiddenServiceMember(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith('hiddenservice') && !standAlone.has(lower);
}

function optionKeywords(names: readonly OptionName[]): (readonly [string, Keyword])[] {
  return names.map((name) => [
    name.toLowerCase(),
    { kind: 'option', name, rules: optionTable[name] },
  ]);
}

function groupKeywords(group: string, members: readonly string[]): (readonly [string, Keyword])[] {
  return [
    [group.toLowerCase(), { kind: 'group', name: group }],
    ...members.map(
      (name) => [name.toLowerCase(), { kind: 'member', name, group } as Keyword] as const,
    ),
  ];
}

/** What is special about a vocabulary. */
interface VocabularyExtras {
  readonly isKeptElsewhere?: boolean;
  /** What any other name stands for. */
  readonly otherwise?: (text: string) => Keyword;
  /** Old names, and those of today, all in lower case. */
  readonly aliases?: ReadonlyMap<string, string>;
  /** Knows better than by the spelling alone; undefined where it does not. */
  readonly explainUnknown?: (text: string) => string | undefined;
}

function createVocabulary(
  keywords: Keywords,
  names: readonly OptionName[],
  { isKeptElsewhere = false, otherwise, aliases, explainUnknown }: VocabularyExtras = {},
): Vocabulary {
  const read = new Set(names);
  const find = (text: string): Keyword | undefined => {
    const lower = text.toLowerCase();
    return keywords.get(aliases?.get(lower) ?? lower) ?? otherwise?.(text);
  };
  return {
    find,
    findWritten(text) {
      return find(text) ?? find(firstOfTor(text) ?? text);
    },
    explainUnknown(text) {
      if (text.toLowerCase() === '%include') {
        return text === '%include'
          ? 'only a torrc can include files'
          : 'write %include in lower case';
      }
      const known = explainUnknown?.(text);
      if (known !== undefined) return known;
      const near = nearestName(
        text,
        [...keywords.values()].map(({ name }) => name),
      );
      if (near !== undefined) return `there is no option of this name; did you mean ${near}?`;
      return text.includes('=')
        ? 'there is no option of this name; a blank stands behind the name, no equals sign'
        : 'there is no option of this name';
    },
    read,
    isKeptElsewhere: (home) => isKeptElsewhere && !read.has(home as OptionName),
  };
}
