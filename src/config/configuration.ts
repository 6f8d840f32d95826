/** A whole configuration: the lines in force and what they mean. Immutable; a change makes a new one. */
import { PosternError } from '../errors.ts';
import { type OptionName, optionGroups, optionTable, type OptionValues } from './options.ts';
import { checkRules } from './rules.ts';
import { placeOf } from './include.ts';
import { parseTorrc, parseTorrcFile, type Setting, type TorrcPiece } from './torrc.ts';
import { valueFault } from './value-types.ts';
import { embeddedVocabulary, type Keyword, type Vocabulary } from './vocabulary.ts';

/** Defaults that depend on where the daemon runs, in canonical form. */
export type LocalDefaults = Partial<Readonly<Record<OptionName, string>>>;

/** A line in canonical form, with what its value says. */
interface Line extends Setting {
  readonly parsed: unknown;
}

/** The lines of each option that is set, and those of each group under its virtual key. */
type Lines = ReadonlyMap<string, readonly Line[]>;

/** The lines in force and their values. */
export class Configuration {
  /** What the lines mean, defaults included. */
  readonly values: OptionValues;
  /** The options that there are. */
  readonly vocabulary: Vocabulary;
  /** The keywords that were taken for longer ones, each as a sentence. */
  readonly abbreviations: readonly string[];
  readonly #lines: Lines;
  readonly #localDefaults: LocalDefaults;

  private constructor(
    lines: Lines,
    localDefaults: LocalDefaults,
    vocabulary: Vocabulary,
    abbreviations: readonly string[] = [],
  ) {
    this.vocabulary = vocabulary;
    this.abbreviations = abbreviations;
    this.#lines = lines;
    this.#localDefaults = localDefaults;
    this.values = Object.fromEntries(
      optionNames.map((name) => [name, this.#valueOf(name)]),
    ) as unknown as OptionValues;
    checkRules(this.values);
  }

  /**
   * Reads a torrc, as text or with what it includes.
   *
   * @throws PosternError `ERR_CONFIG_SYNTAX`, `ERR_CONFIG_KEY` or `ERR_CONFIG_VALUE`, naming key, line
   *   and fault
   */
  static parse(
    torrc: string | readonly TorrcPiece[],
    localDefaults: LocalDefaults = {},
    vocabulary: Vocabulary = embeddedVocabulary,
  ): Configuration {
    const pieces = typeof torrc === 'string' ? parseTorrcFile(torrc) : torrc;
    const lines = applyLines(new Map(), pieces, vocabulary, (key) => vocabulary.findWritten(key));
    const foreign = [...lines.keys()].find((home) => vocabulary.isKeptElsewhere(home));
    if (foreign !== undefined) {
      throw valueFault(
        `${foreign}: belongs in the torrc of the Tor that is controlled, or in SETCONF`,
      );
    }
    return new Configuration(lines, localDefaults, vocabulary, abbreviationsIn(pieces, vocabulary));
  }

  /**
   * The configuration after SETCONF (TC 3.3): an option that is named loses all its lines and gets
   * those that stand here; so does the whole group of a member that is named. A key without a value
   * clears what stands before it. Abbreviated keywords are a matter of files.
   *
   * @throws PosternError like `parse`; nothing has changed then, as nothing ever does
   */
  changedBy(text: string): Configuration {
    const { vocabulary } = this;
    const lines = applyLines(this.#lines, parseTorrc(text), vocabulary, (key) =>
      vocabulary.find(key),
    );
    return new Configuration(lines, this.#localDefaults, vocabulary);
  }

  /**
   * The options and groups that lines name, whether or not they change anything.
   *
   * @throws PosternError like `parse`
   */
  namedBy(text: string): ReadonlySet<string> {
    return new Set(
      parseTorrc(text).flatMap((piece) =>
        piece.setting === undefined
          ? []
          : homeOf(keywordOf(this.vocabulary, piece.setting.key, placeOf(piece))),
      ),
    );
  }

  /**
   * The lines in force for each key, in this order (TC 3.4): defaults in canonical units, nothing for
   * an unset option without a default or for a member of a group, all lines of a group for its
   * virtual key. Keys come back in their canonical spelling.
   *
   * @throws PosternError `ERR_CONFIG_KEY` when any of the keys is unknown
   */
  get(keys: readonly string[]): readonly Setting[] {
    return keys.flatMap((key) => {
      const keyword = keywordOf(this.vocabulary, key);
      if (keyword.kind === 'member') return [];
      return this.#linesOf(keyword.name).map(({ key: name, value }) => ({ key: name, value }));
    });
  }

  /**
   * The lines that a torrc needs to say the same: no defaults, nothing that is kept elsewhere, the
   * options in the order of the table.
   */
  settings(): ReadonlyMap<string, readonly Setting[]> {
    return new Map(
      this.#homes()
        .filter((home) => !this.vocabulary.isKeptElsewhere(home))
        .map((home) => [home, this.settingsOf(home)] as const),
    );
  }

  /** The lines that are set of an option or a group, by its name in canonical spelling. */
  settingsOf(home: string): readonly Setting[] {
    return (this.#lines.get(home) ?? []).map(({ key, value }) => ({ key, value }));
  }

  /**
   * The options and groups whose lines in force differ from those in `earlier`. Of options that are kept elsewhere
   * only the lines of controllers are known here.
   */
  differencesFrom(earlier: Configuration): ReadonlySet<string> {
    const homes = new Set([...optionNames, ...this.#homes(), ...earlier.#homes()]);
    const textOf = (configuration: Configuration, name: string): string =>
      JSON.stringify(configuration.#linesOf(name).map(({ key, value }) => [key, value]));
    return new Set(
      [...homes].filter(
        (home) =>
          !this.vocabulary.isKeptElsewhere(home) && textOf(this, home) !== textOf(earlier, home),
      ),
    );
  }

  /** The options and groups with lines, in the order of the table and then of the text. */
  #homes(): readonly string[] {
    const known = [...optionNames, ...Object.keys(optionGroups)].filter((name) =>
      this.#lines.has(name),
    );
    return [...new Set([...known, ...this.#lines.keys()])];
  }

  #linesOf(name: string): readonly Line[] {
    const lines = this.#lines.get(name);
    if (lines !== undefined) return lines;
    return this.vocabulary.read.has(name as OptionName) ? this.#defaultOf(name) : [];
  }

  #defaultOf(name: string): readonly Line[] {
    const { type, default: general } = optionTable[name as OptionName];
    const value = this.#localDefaults[name as OptionName] ?? general;
    return value === undefined ? [] : [{ key: name, value, parsed: type.parse(value) }];
  }

  #valueOf(name: OptionName): unknown {
    const isRead = this.vocabulary.read.has(name);
    const lines = isRead ? this.#linesOf(name) : this.#defaultOf(name);
    const values = lines.map(({ parsed }) => parsed);
    // A port that is off has no value: the list is then one shorter.
    return optionTable[name].isList ? values.filter((value) => value !== undefined) : values[0];
  }
}

const optionNames = Object.keys(optionTable) as OptionName[];

function applyLines(
  lines: Lines,
  pieces: readonly TorrcPiece[],
  vocabulary: Vocabulary,
  find: Vocabulary['find'],
): Lines {
  const result = new Map<string, readonly Line[]>(lines);
  const fresh = new Map<string, Line[]>();
  for (const piece of pieces) {
    const { setting } = piece;
    if (setting === undefined) continue;
    const place = placeOf(piece);
    const keyword = find(setting.key) ?? refuse(vocabulary, setting.key, place);
    const home = homeOf(keyword);
    const entry = readSetting(place, keyword, setting.value);
    const isScalar = keyword.kind === 'option' && !keyword.rules.isList;
    let entries = fresh.get(home);
    if (entries === undefined || entry === undefined || isScalar) {
      entries = [];
      fresh.set(home, entries);
    }
    if (entry === undefined) continue;
    const head = optionGroups[home]?.head ?? entry.key;
    if (entries.length === 0 && entry.key !== head) {
      throw valueFault(`${entry.key} (${place}): must come after a ${head}`);
    }
    entries.push(entry);
  }
  for (const [home, entries] of fresh) {
    if (entries.length > 0) result.set(home, entries);
    else result.delete(home);
  }
  return result;
}

function abbreviationsIn(pieces: readonly TorrcPiece[], vocabulary: Vocabulary): readonly string[] {
  return pieces.flatMap((piece) => {
    const { key } = piece.setting ?? {};
    if (key === undefined || vocabulary.find(key) !== undefined) return [];
    const { name } = vocabulary.findWritten(key)!;
    return `${key} (${placeOf(piece)}): did you mean ${name}? It is taken for that, as by Tor`;
  });
}

/** The option, or the group, that a keyword's lines belong to. */
function homeOf(keyword: Keyword): string {
  return keyword.kind === 'member' ? keyword.group : keyword.name;
}

/** The line in canonical form; undefined when it only clears. */
function readSetting(place: string, keyword: Keyword, value: string): Line | undefined {
  if (value === '') return undefined;
  const { name } = keyword;
  switch (keyword.kind) {
    case 'option': {
      const { type } = keyword.rules;
      try {
        const parsed = type.parse(value);
        return { key: name, value: type.format(parsed), parsed };
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        throw valueFault(`${name} (${place}): ${error.message}`, error);
      }
    }
    case 'member':
      return { key: name, value, parsed: value };
    case 'group':
      throw valueFault(`${name} (${place}): takes no value; set its options themselves`);
  }
}

/** @throws PosternError `ERR_CONFIG_KEY` */
function keywordOf(vocabulary: Vocabulary, key: string, place?: string): Keyword {
  return vocabulary.find(key) ?? refuse(vocabulary, key, place);
}

function refuse(vocabulary: Vocabulary, key: string, place?: string): never {
  const shown = key.length > 40 ? `${key.slice(0, 40)}…` : key;
  const where = place === undefined ? '' : ` (${place})`;
  throw new PosternError('ERR_CONFIG_KEY', `${shown}${where}: ${vocabulary.explainUnknown(key)}`);
}
