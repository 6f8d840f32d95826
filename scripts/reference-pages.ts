/** docs/ERRORS.md and docs/LIMITS.md, from the two tables that the code itself uses. */
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
    .map(([name, entry]) => {
      const option = entry.key === undefined ? '' : `\`${entry.key}\``;
      return `| \`${name}\` | ${formatValue(entry)} | ${entry.guards} | ${option} |`;
    });
  return [
    '# Limits',
    '',
    'Every buffer, count and time that a peer can drive has a cap. Generated from `src/limits.ts` by',
    '`npm run docs`.',
    '',
    '| limit | default | without it | option |',
    '| --- | ---: | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function formatValue(entry: LimitEntry): string {
  const digits = String(entry.value).replace(/\B(?=(\d{3})+$)/g, ',');
  return entry.unit === 'count' ? digits : `${digits} ${entry.unit}`;
}
