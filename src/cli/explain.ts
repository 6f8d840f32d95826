/** `postern explain`: what an error code, an option or a limit means, out of the tables that the code uses. */
import { torEngineOptions } from '../config/options/tor-engine.ts';
import { optionGroups, type OptionRow, optionTable } from '../config/options.ts';
import { torOptions } from '../config/tor-options.ts';
import { nearestName } from '../config/near-miss.ts';
import { type ErrorEntry, errorTable } from '../errors.ts';
import { limitTable } from '../limits.ts';
import { type CommandContext, ExitCode } from './context.ts';
import { UsageError } from './report-error.ts';

/** Explains some names, or lists them all. */
export async function run(context: CommandContext, names: readonly string[]): Promise<number> {
  const pages = explanations();
  if (names.length === 0) {
    context.stdout.write(listNames([...pages.keys()]));
    return ExitCode.ok;
  }
  const found = names.map((name) => {
    const page = [...pages].find(([known]) => known.toLowerCase() === name.toLowerCase());
    if (page !== undefined) return page[1];
    if (torOptions.some((option) => option.toLowerCase() === name.toLowerCase())) {
      throw new UsageError(
        `${name} is Tor’s: \`Engine tor\` takes it, and \`man tor\` explains it`,
      );
    }
    const near = nearestName(name, [...pages.keys()]);
    const hint =
      near === undefined ? '`postern explain` lists what there is' : `did you mean ${near}?`;
    throw new UsageError(`there is no code, option or limit ${name.slice(0, 40)}; ${hint}`);
  });
  context.stdout.write(found.join('\n'));
  return ExitCode.ok;
}

/** Every name that can be explained, with its text. */
export function explanations(): ReadonlyMap<string, string> {
  return new Map([
    ...Object.entries(errorTable).map(([code, entry]) => [code, explainCode(code, entry)] as const),
    ...Object.entries(optionTable).map(([name, row]) => [name, explainOption(name, row)] as const),
    ...Object.entries(optionGroups).flatMap(([group, { head, members }]) => [
      [
        group,
        `${group}\n  All lines of the group that begins with ${head}, to be read at once.\n`,
      ] as const,
      ...Object.entries(members).map(
        ([name, sentence]) => [name, `${name}\n  ${sentence}\n`] as const,
      ),
    ]),
    ...Object.entries(limitTable).map(
      ([name, { value, unit, guards }]) =>
        [
          name,
          `${name}\n  A limit: ${value}${unit === 'count' ? '' : ` ${unit}`}. Without it: ${guards}\n  It is fixed.\n`,
        ] as const,
    ),
  ]);
}

function explainCode(code: string, { summary, remedy, side, retry }: ErrorEntry): string {
  return [
    code,
    `  ${summary}`,
    `  What to do: ${remedy}`,
    `  Whose side: ${side === 'local' ? 'this one' : 'the other end'}.`,
    `  The same may succeed later: ${retry === 'later' ? 'yes' : 'no'}.`,
    '',
  ].join('\n');
}

function explainOption(name: string, row: OptionRow): string {
  return [
    name,
    `  ${row.summary}`,
    `  Value: ${row.type.syntax}`,
    ...(row.default === undefined ? [] : [`  Default: ${row.default}`]),
    ...(row.isList ? ['  May stand on many lines.'] : []),
    ...(row.isFixed ? ['  Cannot change while the daemon runs.'] : []),
    ...(row.isForEveryEngine && !(name in torEngineOptions) ? ['  Also with Engine tor.'] : []),
    '',
  ].join('\n');
}

function listNames(names: readonly string[]): string {
  const isCode = (name: string): boolean => name.startsWith('ERR_');
  const limits = new Set(Object.keys(limitTable));
  const section = (title: string, some: readonly string[]): string =>
    `${title}\n${some.map((name) => `  ${name}\n`).join('')}`;
  return [
    section('Error codes:', names.filter(isCode)),
    section(
      'Options of a torrc:',
      names.filter((name) => !isCode(name) && !limits.has(name)),
    ),
    section(
      'Limits:',
      names.filter((name) => limits.has(name)),
    ),
  ].join('\n');
}
