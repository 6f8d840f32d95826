/**
 * `npm run docs:others`, behind scripts/debian-peers.sh: examines the programs of other people that are installed,
 * and lyrebird, which that fetches, and writes docs/conformance-of-others.md. It fails when a verdict of "broken" has no explanation in departures.ts, or
 * an explanation no verdict.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ClauseReport, Verdict } from '../src/findings.ts';
import { examineParent } from '../src/parent/index.ts';
import { recipes } from '../src/parent/recipes.ts';
import { examinePt } from '../src/pt/index.ts';
import { distinct } from '../src/report.ts';
import { type Departures, departures, occasional } from './departures.ts';

const signal = new AbortController().signal;

/** Where scripts/debian-peers.sh puts what Debian's stable release has not. */
const fetched = new URL('../../../.build/peers/', import.meta.url);
const lyrebird = fileURLToPath(new URL('usr/bin/lyrebird', fetched));

const subjects: readonly {
  readonly name: string;
  readonly role: string;
  readonly command: string;
  readonly examine: () => Promise<readonly ClauseReport[]>;
}[] = [
  {
    name: 'obfs4proxy',
    role: 'a pluggable transport, both sides',
    command: 'postern-conform pt -- obfs4proxy',
    examine: () => examinePt({ command: ['obfs4proxy'], signal }),
  },
  {
    name: 'lyrebird',
    role: 'a pluggable transport, both sides',
    command: 'postern-conform pt -- lyrebird',
    examine: () => examinePt({ command: [lyrebird], signal }),
  },
  {
    name: 'snowflake-client',
    role: 'a pluggable transport, client side',
    command: 'postern-conform pt -- snowflake-client',
    examine: () => examinePt({ command: ['snowflake-client'], signal }),
  },
  {
    name: 'tor',
    role: 'a parent, of clients and of servers',
    command: 'postern-conform parent --recipe tor',
    examine: () => examineParent({ launches: recipes.get('tor')!, signal }),
  },
];

const problems: string[] = [];
const sections: string[] = [];
for (const { name, role, command, examine } of subjects) {
  const reports = await examine();
  const title = `${name} (Debian ${versionOf(name)})`;
  sections.push(formatSection(title, role, command, reports, name));
  problems.push(...problemsOf(name, reports));
}
const page = [
  '# Conformance of others',
  [
    'What the conformance kit ([postern-conform](../conform/README.md)) says about the programs that Debian ships. Generated',
    'by `npm run docs:others`; every clause that is broken was checked by hand, and the sentence under it says',
    'what the program does. These programs work, and work together: most of what follows are values that no',
    'parent sends and lines that no transport writes. `spec/pt-clauses.json` says how each clause is read.',
  ].join('\n'),
  ...sections,
].join('\n\n');
writeFileSync(new URL('../../../docs/conformance-of-others.md', import.meta.url), `${page}\n`);
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

function versionOf(program: string): string {
  const versions = readFileSync(new URL('versions', fetched), 'utf8');
  const line = new RegExp(`^${program} (.*)$`, 'm').exec(versions);
  if (line !== null) return line[1]!;
  return execFileSync('dpkg-query', ['-W', '-f', '${Version}', program], { encoding: 'utf8' });
}

function formatSection(
  title: string,
  role: string,
  command: string,
  reports: readonly ClauseReport[],
  name: string,
): string {
  const explanations: Departures = { ...departures[name], ...occasional[name] };
  const count = (verdict: Verdict): number =>
    reports.filter((report) => report.verdict === verdict).length;
  const lines = [
    `## ${title}`,
    '',
    `As ${role}: \`${command}\``,
    '',
    '| holds | broken | not observable | not applicable |',
    '| ---: | ---: | ---: | ---: |',
    `| ${count('holds')} | ${count('broken')} | ${count('not observable')} | ${count('not applicable')} |`,
    '',
  ];
  for (const { clause, verdict, faults } of reports) {
    if (verdict !== 'broken') continue;
    // In an order that is the same in every run.
    const shown = distinct(faults)
      .toSorted((a, b) => (code(a.sent) < code(b.sent) ? -1 : 1))
      .slice(0, 2);
    lines.push(
      `**${clause.id}** · ${clause.level}`,
      '',
      `> ${escapeMarkdown(clause.clause)}`,
      '',
      explanations[clause.id] ?? 'Not explained.',
      '',
      ...shown.map(({ sent, came }) => `- Sent: ${code(sent)}  \n  Came: ${code(came)}`),
      '',
    );
  }
  for (const [id, explanation] of Object.entries(occasional[name] ?? {})) {
    const report = reports.find(({ clause }) => clause.id === id)!;
    if (report.verdict === 'broken') continue;
    lines.push(
      `**${id}** · ${report.clause.level} · in other runs than this one`,
      '',
      explanation,
      '',
    );
  }
  lines.push(`Holds: ${idsOf(reports, 'holds')}.`);
  for (const verdict of ['not observable', 'not applicable'] as const) {
    const reasons = new Set(
      reports.filter((report) => report.verdict === verdict).map(({ reason }) => reason),
    );
    for (const reason of reasons) {
      const own = reports.filter((report) => report.reason === reason);
      lines.push('', `Not ${verdict.slice(4)} (${reason}): ${idsOf(own, verdict)}.`);
    }
  }
  return lines.join('\n');
}

function idsOf(reports: readonly ClauseReport[], verdict: Verdict): string {
  return reports
    .filter((report) => report.verdict === verdict)
    .map(({ clause }) => clause.id.replace('PT-', ''))
    .join(', ');
}

/** What differs from run to run does not belong into a document. */
function code(text: string): string {
  const stable = text
    .replaceAll(lyrebird, 'lyrebird')
    .replace(/127(?:\.\d+){3}:[1-9]\d{4}/g, '127.0.0.1:…')
    .replace(/0\.0\.0\.0:[1-9]\d{4}/g, '0.0.0.0:…')
    .replace(/cert=[A-Za-z0-9+/]+/g, 'cert=…')
    .replace(/(?<=sockets to name servers: )[\d.:]+/g, '…:53')
    .replace(/after \d+ ms/g, 'after … ms')
    .replaceAll('`', "'");
  return `\`${stable}\``;
}

function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_<>[\]|]/g, '\\$&');
}

function problemsOf(name: string, reports: readonly ClauseReport[]): readonly string[] {
  const always = departures[name]!;
  const broken = reports
    .filter(({ verdict }) => verdict === 'broken')
    .map(({ clause }) => clause.id);
  return [
    ...broken
      .filter((id) => !(id in always) && !(id in (occasional[name] ?? {})))
      .map((id) => `${name}: ${id} is broken and not explained in conform/scripts/departures.ts`),
    ...Object.keys(always)
      .filter((id) => !broken.includes(id))
      .map(
        (id) => `${name}: ${id} is explained in conform/scripts/departures.ts and was not broken`,
      ),
  ];
}
