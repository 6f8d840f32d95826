/**
 * Writes a configuration into the text of a torrc: what has not changed stays as it was written and
 * where it was written, comments included; what has is written in canonical form at its old place.
 */
import { PosternBug, PosternError } from '../errors.ts';
import { Configuration } from './configuration.ts';
import { findKeyword } from './options.ts';
import { formatSetting, parseTorrc, type Setting, type TorrcPiece } from './torrc.ts';

/**
 * The new text of a torrc.
 *
 * @param text the old one; if it is not a torrc any more, nothing of it is kept
 */
export function rewriteTorrc(text: string, target: Configuration): string {
  const wanted = target.settings();
  const result = isReadable(text) ? mergeInto(text, wanted) : formatAll(wanted);
  // The daemon must be able to start from what it has written.
  const reread = Configuration.parse(result).settings();
  if (JSON.stringify([...reread]) !== JSON.stringify([...wanted])) {
    throw new PosternBug('the rewritten torrc does not say what is in force');
  }
  return result;
}

function isReadable(text: string): boolean {
  try {
    Configuration.parse(text);
    return true;
  } catch (error) {
    if (error instanceof PosternError) return false;
    throw error;
  }
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
  /** Where in the output the rest of the lines goes: behind the last old line of this option. */
  end: number;
}

function mergeInto(text: string, wanted: ReadonlyMap<string, readonly Setting[]>): string {
  const old = Configuration.parse(text).settings();
  const progress = new Map<string, Progress>();
  const progressOf = (home: string): Progress => {
    const known = progress.get(home);
    if (known !== undefined) return known;
    const lines = wanted.get(home) ?? [];
    const unchanged = JSON.stringify(lines) === JSON.stringify(old.get(home) ?? []);
    const created = { wanted: lines, unchanged, places: placesOf(lines), written: 0, end: 0 };
    progress.set(home, created);
    return created;
  };

  const output: string[] = [];
  for (const piece of parseTorrc(text)) {
    if (piece.setting === undefined) {
      output.push(piece.raw);
      continue;
    }
    const state = progressOf(homeOf(piece.setting.key));
    if (state.unchanged) output.push(piece.raw);
    else carryOver(piece, piece.setting, state, output);
    state.end = output.length;
  }

  // From the end to the beginning, so that the places stay right.
  const unfinished = [...progress.values()].filter(({ unchanged }) => !unchanged);
  for (const state of unfinished.toSorted((a, b) => b.end - a.end)) {
    output.splice(state.end, 0, ...state.wanted.slice(state.written).map(formatLine));
  }
  const added = [...wanted].filter(([home]) => !progress.has(home)).flatMap(([, lines]) => lines);
  return joinLines([...output, ...added.map(formatLine)]);
}

/** Keeps an old line if it is wanted from here on, and writes before it what is wanted before it. */
function carryOver(piece: TorrcPiece, setting: Setting, state: Progress, output: string[]): void {
  const places = state.places.get(canonicalText(setting)) ?? [];
  const place = places.find((index) => index >= state.written);
  if (place === undefined) return;
  output.push(...state.wanted.slice(state.written, place).map(formatLine), piece.raw);
  state.written = place + 1;
}

function homeOf(key: string): string {
  const keyword = findKeyword(key)!;
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
function canonicalText({ key, value }: Setting): string {
  const keyword = findKeyword(key)!;
  if (value === '' || keyword.kind !== 'option') return `${keyword.name} ${value}`;
  const { type } = keyword.row;
  return `${keyword.name} ${type.format(type.parse(value))}`;
}

function formatAll(wanted: ReadonlyMap<string, readonly Setting[]>): string {
  return joinLines([...wanted.values()].flat().map(formatLine));
}

function formatLine(setting: Setting): string {
  return `${formatSetting(setting)}\n`;
}

/** The last line of the old text may have no end, and something may now come after it. */
function joinLines(lines: readonly string[]): string {
  return lines.map((line) => (line.endsWith('\n') ? line : `${line}\n`)).join('');
}
