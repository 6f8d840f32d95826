/**
 * Writes a configuration into the text of a torrc: what has not changed stays as it was written and
 * where it was written, comments included; what has is written in canonical form at its old place.
 */
import { PosternBug, PosternError } from '../errors.ts';
import { Configuration } from './configuration.ts';
import { formatSetting, parseTorrcFile, type Setting } from './torrc.ts';
import type { Vocabulary } from './vocabulary.ts';

/**
 * The new text of a torrc.
 *
 * @param text the old one; if it is not a torrc any more, nothing of it is kept
 */
export function rewriteTorrc(text: string, target: Configuration): string {
  const wanted = target.settings();
  const { vocabulary } = target;
  const old = settingsIn(text, vocabulary);
  const result = old === undefined ? formatAll(wanted) : mergeInto(text, old, wanted, vocabulary);
  // The daemon must be able to start from what it has written.
  const reread = settingsIn(result, vocabulary) ?? new Map();
  if (!isSame(reread, wanted)) {
    throw new PosternBug('the rewritten torrc does not say what is in force');
  }
  return result;
}

/** What a text sets; undefined when it is not a torrc. */
function settingsIn(text: string, vocabulary: Vocabulary): Lines | undefined {
  try {
    return Configuration.parse(text, {}, vocabulary).settings();
  } catch (error) {
    if (error instanceof PosternError) return undefined;
    throw error;
  }
}

/** The lines of each option and group. */
type Lines = ReadonlyMap<string, readonly Setting[]>;

/** Whether two configurations set the same, in whatever order their options stand. */
function isSame(one: Lines, other: Lines): boolean {
  return (
    one.size === other.size &&
    [...one].every(([home, lines]) => JSON.stringify(lines) === JSON.stringify(other.get(home)))
  );
}

/** One option or group while the old text is walked through. */
interface Progress {
  /** The lines as they shall be. */
  readonly wanted: readonly Setting[];
  /** Nothing is different: every old line stays, also one that a later line overrides. */
  readonly unchanged: boolean;
  /** For each wanted line, where in `wanted` it stands. */
  readonly places: ReadonlyMap<string, readonly number[]>;
  /** How many of the wanted lines have been written. */
  written: number;
  /** Where the last old line of this option stands, or stood: new lines go right behind it. */
  slot: string[] | undefined;
}

function mergeInto(text: string, old: Lines, wanted: Lines, vocabulary: Vocabulary): string {
  const progress = new Map<string, Progress>();
  const progressOf = (home: string): Progress => {
    const known = progress.get(home);
    if (known !== undefined) return known;
    const lines = wanted.get(home) ?? [];
    const unchanged = JSON.stringify(lines) === JSON.stringify(old.get(home) ?? []);
    const created = {
      wanted: lines,
      unchanged,
      places: placesOf(lines),
      written: 0,
      slot: undefined,
    };
    progress.set(home, created);
    return created;
  };

  const output: string[][] = [];
  for (const { raw, setting } of parseTorrcFile(text)) {
    const state = setting === undefined ? undefined : progressOf(homeOf(setting.key, vocabulary));
    const slot =
      setting === undefined || state!.unchanged
        ? [raw]
        : carryOver(raw, canonicalText(setting, vocabulary), state!);
    if (state !== undefined) state.slot = slot;
    output.push(slot);
  }
  for (const { unchanged, slot, wanted: lines, written } of progress.values()) {
    if (!unchanged) slot!.push(...lines.slice(written).map(formatLine));
  }
  const added = [...wanted].filter(([home]) => !progress.has(home)).flatMap(([, lines]) => lines);
  return joinLines([...output.flat(), ...added.map(formatLine)]);
}

/** What stands in the place of an old line: itself, if it is wanted and its turn comes here. */
function carryOver(raw: string, text: string, state: Progress): string[] {
  const places = state.places.get(text) ?? [];
  const place = places.find((index) => index >= state.written);
  if (place === undefined) return [];
  const before = state.wanted.slice(state.written, place).map(formatLine);
  state.written = place + 1;
  if (state.slot === undefined) return [...before, raw];
  state.slot.push(...before);
  return [raw];
}

function homeOf(key: string, vocabulary: Vocabulary): string {
  const keyword = vocabulary.findWritten(key)!;
  return keyword.kind === 'member' ? keyword.group : keyword.name;
}

function placesOf(lines: readonly Setting[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (const [index, { key, value }] of lines.entries()) {
    const text = `${key} ${value}`;
    const known = places.get(text);
    if (known === undefined) places.set(text, [index]);
    else known.push(index);
  }
  return places;
}

/** The canonical form of a line of the old text; that of a bare key matches no wanted line. */
function canonicalText({ key, value }: Setting, vocabulary: Vocabulary): string {
  const keyword = vocabulary.findWritten(key)!;
  if (value === '' || keyword.kind !== 'option') return `${keyword.name} ${value}`;
  const { type } = keyword.rules;
  return `${keyword.name} ${type.format(type.parse(value))}`;
}

function formatAll(wanted: Lines): string {
  return joinLines([...wanted.values()].flat().map(formatLine));
}

function formatLine(setting: Setting): string {
  return `${formatSetting(setting)}\n`;
}

/** The last line of the old text may have no end, and something may now come after it. */
function joinLines(lines: readonly string[]): string {
  return lines.map((line) => (line.endsWith('\n') ? line : `${line}\n`)).join('');
}
