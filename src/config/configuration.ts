/** A whole configuration: the lines in force and what they mean. Immutable; a change makes a new one. */
import { PosternError } from '../errors.ts';
import {
  findKeyword,
  type OptionName,
  optionGroups,
  optionTable,
  type OptionValues,
} from './options.ts';
import { checkRules } from './rules.ts';
import { parseTorrc, type Setting } from './torrc.ts';
import { valueFault } from './value-types.ts';

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
  readonly #lines: Lines;
  readonly #localDefaults: LocalDefaults;

  private constructor(lines: Lines, localDefaults: LocalDefaults) {
    this.#lines = lines;
    this.#localDefaults = localDefaults;
    this.values = Object.fromEntries(
      optionNames.map((name) => [name, this.#valueOf(name)]),
    ) as unknown as OptionValues;
    checkRules(this.values);
  }

  /**
   * Reads a torrc.
   *
   * @throws PosternError `ERR_CONFIG_SYNTAX`, `ERR_CONFIG_KEY` or `ERR_CONFIG_VALUE`, naming key, line
   *   and fault
   */
  static parse(text: string, localDefaults: LocalDefaults = {}): Configuration {
    return new Configuration(applyLines(new Map(), text), localDefaults);
  }

  /**
   * The configuration after SETCONF (TC 3.3): an option that is named loses all its lines and gets
   * those that stand here; so does the whole group of a member that is named. A key without a value
   * clears what stands before it.
   *
   * @throws PosternError like `parse`; nothing has changed then, as nothing ever does
   */
  changedBy(text: string): Configuration {
    return new Configuration(applyLines(this.#lines, text), this.#localDefaults);
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
      const keyword = findKeyword(key);
      if (keyword === undefined) throw unknownKey(key);
      if (keyword.kind === 'member') return [];
      return this.#linesOf(keyword.name).map(({ key: name, value }) => ({ key: name, value }));
    });
  }

  /** The lines that a torrc needs to say the same: no defaults, in the order of the table. */
  settings(): ReadonlyMap<string, readonly Setting[]> {
    return new Map(
      [...optionNames, ...Object.keys(optionGroups)].flatMap((name) => {
        const lines = this.#lines.get(name);
        return lines === undefined
          ? []
          : [[name, lines.map(({ key, value }) => ({ key, value }))] as const];
      }),
    );
  }

  /** The options and groups that have other lines in force than in `earlier`. */
  differencesFrom(earlier: Configuration): ReadonlySet<string> {
    const names = [...optionNames, ...Object.keys(optionGroups)];
    const textOf = (configuration: Configuration, name: string): string =>
      JSON.stringify(configuration.#linesOf(name).map(({ key, value }) => [key, value]));
    return new Set(names.filter((name) => textOf(this, name) !== textOf(earlier, name)));
  }

  #linesOf(name: string): readonly Line[] {
    const lines = this.#lines.get(name);
    if (lines !== undefined || !(name in optionTable)) return lines ?? [];
    const { type, default: general } = optionTable[name as OptionName];
    const value = this.#localDefaults[name as OptionName] ?? general;
    return value === undefined ? [] : [{ key: name, value, parsed: type.parse(value) }];
  }

  #valueOf(name: OptionName): unknown {
    const values = this.#linesOf(name).map(({ parsed }) => parsed);
    // A port that is off has no value: the list is then one shorter.
    return optionTable[name].isList ? values.filter((value) => value !== undefined) : values[0];
  }
}

const optionNames = Object.keys(optionTable) as OptionName[];

function applyLines(lines: Lines, text: string): Lines {
  const result = new Map<string, readonly Line[]>(lines);
  const fresh = new Map<string, Line[]>();
  for (const { line, setting } of parseTorrc(text)) {
    if (setting === undefined) continue;
    const { home, entry } = readSetting(line, setting);
    let entries = fresh.get(home);
    if (entries === undefined || entry === undefined || isScalar(home)) {
      entries = [];
      fresh.set(home, entries);
    }
    if (entry === undefined) continue;
    const head = optionGroups[home]?.head ?? entry.key;
    if (entries.length === 0 && entry.key !== head) {
      throw valueFault(`${entry.key} (line ${line}): must come after a ${head}`);
    }
    entries.push(entry);
  }
  for (const [home, entries] of fresh) {
    if (entries.length > 0) result.set(home, entries);
    else result.delete(home);
  }
  return result;
}

function isScalar(home: string): boolean {
  return home in optionTable && !optionTable[home as OptionName].isList;
}

/** Which option or group a setting belongs to; no entry when it only clears. */
function readSetting(line: number, { key, value }: Setting): { home: string; entry?: Line } {
  const keyword = findKeyword(key);
  if (keyword === undefined) throw unknownKey(key, line);
  switch (keyword.kind) {
    case 'option': {
      const { name, row } = keyword;
      if (value === '') return { home: name };
      try {
        const parsed = row.type.parse(value);
        return { home: name, entry: { key: name, value: row.type.format(parsed), parsed } };
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        throw valueFault(`${name} (line ${line}): ${error.message}`, error);
      }
    }
    case 'member': {
      const { name, group } = keyword;
      return value === ''
        ? { home: group }
        : { home: group, entry: { key: name, value, parsed: value } };
    }
    case 'group':
      if (value === '') return { home: keyword.name };
      throw valueFault(
        `${keyword.name} (line ${line}): takes no value; set its options themselves`,
      );
  }
}

function unknownKey(key: string, line?: number): PosternError {
  const shown = key.length > 40 ? `${key.slice(0, 40)}…` : key;
  const place = line === undefined ? '' : ` (line ${line})`;
  return new PosternError('ERR_CONFIG_KEY', `${shown}${place}: there is no option of this name`);
}
