/** docs/ERRORS.md, LIMITS.md and OPTIONS.md, from the tables that the code itself uses. */
import { bandwidthOptions } from '../src/config/options/bandwidth.ts';
import { bridgeOptions } from '../src/config/options/bridge.ts';
import { clientOptions } from '../src/config/options/client.ts';
import { controlOptions } from '../src/config/options/control.ts';
import { daemonOptions } from '../src/config/options/daemon.ts';
import { torEngineOptions } from '../src/config/options/tor-engine.ts';
import { optionGroups, type OptionGroup, type OptionRow } from '../src/config/options.ts';
import type { ErrorEntry } from '../src/errors.ts';
import type { LimitEntry } from '../src/limits.ts';

/** The page of error codes, in alphabetical order. */
export function formatErrors(table: Readonly<Record<string, ErrorEntry>>): string {
  const entries = Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1));
  const sections = entries.map(([code, entry]) =>
    [
      `## ${code}`,
      '',
      `${entry.summary} ${entry.remedy}`,
      '',
      `- Whose side: ${entry.side}`,
      `- The same call may succeed later: ${entry.retry === 'later' ? 'yes' : 'no'}`,
      ...(entry.socksReply === undefined
        ? []
        : [`- SOCKS5 reply: 0x${entry.socksReply.toString(16).padStart(2, '0')}`]),
    ].join('\n'),
  );
  return [
    '# Errors',
    [
      'Everything that Postern throws on purpose is a `PosternError` with one of these codes in',
      '`error.code`; match on the code, never on the text. `error.side`, `error.retry` and',
      '`error.remedy` say what is below. Generated from `src/errors.ts` by `npm run docs`.',
    ].join('\n'),
    ...sections,
  ]
    .join('\n\n')
    .concat('\n');
}

/** The page of limits, in alphabetical order. */
export function formatLimits(table: Readonly<Record<string, LimitEntry>>): string {
  const rows = Object.entries(table)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) => `| \`${name}\` | ${formatValue(entry)} | ${entry.guards} |`);
  return [
    '# Limits',
    '',
    'Every buffer, count and time that a peer can drive has a cap. They are fixed; what an operator may want to',
    'set is an [option](OPTIONS.md). Generated from `src/limits.ts` by `npm run docs`.',
    '',
    '| limit | value | without it |',
    '| --- | ---: | --- |',
    ...rows,
    '',
  ].join('\n');
}

/** The page of options, in the order of the table. */
export function formatOptions(): string {
  const sections = optionSections.map(([title, rows]) => {
    const options = Object.entries<OptionRow>(rows).map(([name, row]) => formatOption(name, row));
    return [`## ${title}`, ...options].join('\n\n');
  });
  return [
    '# Options',
    [
      'What a torrc for `postern run` can say, and what `postern ctl setconf` can set. The names and the',
      'syntax are Tor’s: `Keyword value`, a line each, keywords in any letter case, `#` for comments, a',
      'backslash at the end of a line that goes on, quotes around a value with `#` in it. A keyword',
      'without a value goes back to the default. With `Engine tor` all other options are those of the',
      'Tor that is started (`man tor`). Generated from `src/config/options/` by `npm run docs`.',
    ].join('\n'),
    ...sections,
    '## Groups',
    ...Object.entries(optionGroups).map(([name, group]) => formatGroup(name, group)),
  ]
    .join('\n\n')
    .concat('\n');
}

const optionSections: readonly (readonly [
  title: string,
  rows: Readonly<Record<string, OptionRow>>,
])[] = [
  ['As a client', clientOptions],
  ['As a bridge', bridgeOptions],
  ['Bandwidth', bandwidthOptions],
  ['Control', controlOptions],
  ['The daemon', daemonOptions],
  ['In front of a real Tor', torEngineOptions],
];

function formatOption(name: string, row: OptionRow): string {
  const notes = [
    `- Value: \`${row.type.syntax}\``,
    ...(row.default === undefined ? [] : [`- Default: \`${row.default}\``]),
    ...(row.isList ? ['- May stand on many lines'] : []),
    ...(row.isFixed ? ['- Cannot change while the daemon runs'] : []),
    ...(row.isForEveryEngine && !(name in torEngineOptions) ? ['- Also with `Engine tor`'] : []),
  ];
  return `### ${name}\n\n${row.summary}\n\n${notes.join('\n')}`;
}

function formatGroup(name: string, { head, members }: OptionGroup): string {
  return [
    `### ${name}`,
    [
      `The lines of these options mean something together: each part begins with \`${head}\`. Setting`,
      `one of them replaces all; reading them goes by \`${name}\`, which returns every line.`,
    ].join('\n'),
    Object.entries(members)
      .map(([member, sentence]) => `- \`${member}\`: ${sentence}`)
      .join('\n'),
  ].join('\n\n');
}

function formatValue(entry: LimitEntry): string {
  const digits = String(entry.value).replace(/\B(?=(\d{3})+$)/g, ',');
  return entry.unit === 'count' ? digits : `${digits} ${entry.unit}`;
}
