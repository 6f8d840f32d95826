/** Verdicts for people, for programs and for CI servers. */
import { bindingLevels, type Level } from './clauses.ts';
import type { ClauseReport, Evidence, Verdict } from './findings.ts';

/** Whether nothing that binds is broken. */
export function isConforming(reports: readonly ClauseReport[]): boolean {
  return !reports.some(isFailure);
}

function isFailure({ verdict, clause }: ClauseReport): boolean {
  return verdict === 'broken' && bindingLevels.has(clause.level);
}

/** The table for a person, with control sequences where `hasColour`. */
export function formatTable(
  reports: readonly ClauseReport[],
  { columns, hasColour }: { readonly columns: number; readonly hasColour: boolean },
): string {
  const paint = (code: number, text: string): string =>
    hasColour ? `\x1b[${code}m${text}\x1b[0m` : text;
  const lines: string[] = [];
  for (const { clause, verdict, faults, reason } of reports) {
    const { mark, colour } = marks[verdict];
    const head = `${clause.id.padEnd(ID_WIDTH)} ${clause.level.padEnd(LEVEL_WIDTH)} `;
    const room = Math.max(columns - ID_WIDTH - LEVEL_WIDTH - MARK_WIDTH - 3, MINIMAL_TEXT_WIDTH);
    const text = verdict === 'broken' ? clause.clause : shortened(clause.clause, room);
    lines.push(`${paint(colour, mark.padEnd(MARK_WIDTH))} ${head}${text}`);
    const indent = ' '.repeat(MARK_WIDTH + 1);
    if (reason !== undefined && verdict !== 'holds') lines.push(paint(2, `${indent}(${reason})`));
    for (const { sent, came, expected } of distinct(faults).slice(0, SHOWN_FAULTS)) {
      lines.push(
        `${indent}sent      ${sent}`,
        `${indent}came      ${paint(31, came)}`,
        `${indent}expected  ${expected}`,
        '',
      );
    }
    const more = distinct(faults).length - SHOWN_FAULTS;
    if (more > 0) lines.push(`${indent}and ${more} more of the kind; --json shows all`, '');
  }
  return `${lines.join('\n').trimEnd()}\n\n${formatSummary(reports, paint)}\n`;
}

const marks: Readonly<Record<Verdict, { readonly mark: string; readonly colour: number }>> = {
  holds: { mark: 'holds', colour: 32 },
  broken: { mark: 'BROKEN', colour: 31 },
  'not observable': { mark: '?', colour: 33 },
  'not applicable': { mark: '-', colour: 2 },
};

const MARK_WIDTH = 6;
const ID_WIDTH = 11;
const LEVEL_WIDTH = 8;
const MINIMAL_TEXT_WIDTH = 40;
const SHOWN_FAULTS = 3;

function formatSummary(
  reports: readonly ClauseReport[],
  paint: (code: number, text: string) => string,
): string {
  const count = (verdict: Verdict): number =>
    reports.filter((report) => report.verdict === verdict).length;
  const broken = count('broken');
  const binding = reports.filter(isFailure).length;
  const parts = [
    paint(32, `${count('holds')} hold`),
    broken === 0
      ? '0 broken'
      : paint(31, `${broken} broken (${binding} of them MUST, MUST NOT or FACT)`),
    `${count('not observable')} not observable (?)`,
    `${count('not applicable')} not applicable (-)`,
  ];
  const clauses = reports.length === 1 ? '1 clause' : `${reports.length} clauses`;
  return `${clauses}: ${parts.join(', ')}.`;
}

/** For programs: one object, the clauses in the document's order. */
export function formatJson(subject: string, reports: readonly ClauseReport[]): string {
  const clauses = reports.map(({ clause, verdict, checks, faults, reason }) => ({
    id: clause.id,
    level: clause.level,
    clause: clause.clause,
    verdict,
    checks,
    ...(faults.length > 0 && { faults: distinct(faults) }),
    ...(reason !== undefined && { reason }),
  }));
  return `${JSON.stringify({ subject, conforming: isConforming(reports), clauses }, undefined, 2)}\n`;
}

/** JUnit XML: a clause is a test case; what does not bind and is broken is noted, and no failure. */
export function formatJunit(subject: string, reports: readonly ClauseReport[]): string {
  const isSkipped = ({ verdict }: ClauseReport): boolean => verdict.startsWith('not ');
  const cases = reports.map((report) => {
    const { clause, verdict, faults, reason } = report;
    const open = `    <testcase classname="${escapeXml(clause.level)}" name="${escapeXml(`${clause.id} ${clause.clause}`)}"`;
    const evidence = distinct(faults)
      .map(({ sent, came, expected }) => `sent: ${sent}\ncame: ${came}\nexpected: ${expected}`)
      .join('\n\n');
    if (isFailure(report)) {
      return `${open}>\n      <failure message="broken">${escapeXml(evidence)}</failure>\n    </testcase>`;
    }
    if (isSkipped(report)) {
      return `${open}>\n      <skipped message="${escapeXml(`${verdict}: ${reason ?? ''}`)}"/>\n    </testcase>`;
    }
    if (verdict === 'broken') {
      return `${open}>\n      <system-out>${escapeXml(evidence)}</system-out>\n    </testcase>`;
    }
    return `${open}/>`;
  });
  const counts = `tests="${reports.length}" failures="${reports.filter(isFailure).length}" skipped="${reports.filter(isSkipped).length}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${escapeXml(subject)}" ${counts}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** The levels that a person means by a word: MUST takes MUST NOT with it. */
export function levelsNamed(word: string): readonly Level[] | undefined {
  const upper = word.toUpperCase();
  if (upper === 'MUST' || upper === 'SHOULD') return [upper, `${upper} NOT`];
  return upper === 'FACT' || upper === 'MAY' ? [upper] : undefined;
}

/** The faults that differ in what was done or in what was to come of it. */
export function distinct(faults: readonly Evidence[]): readonly Evidence[] {
  const seen = new Set<string>();
  return faults.filter(({ sent, expected }) => {
    const key = `${sent}\n${expected}`;
    return !seen.has(key) && seen.add(key);
  });
}

function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** Characters that XML 1.0 cannot hold become question marks. */
function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/gu, '?');
}
