/** What every line of every start must be like, whatever the start was about. */
import { type Findings, shown } from '../findings.ts';
import { isTransportName } from 'postern/pt';
import type { Run } from './run.ts';
import { describeEnd, describeRun } from './transcript.ts';

/** The clauses that are judged on the starts of all other checks. */
export const lineClauses: string =
  'PT-2-05 PT-3-10 PT-3-13 PT-3.1-01 PT-3.1-02 PT-3.1-03 PT-3.1-04 PT-3.2.1-11 PT-3.2.1-12 ' +
  'PT-3.3-01 PT-3.3-02 PT-3.3-03 PT-3.3-04 PT-3.3-05 PT-3.3-06 PT-3.3.1-02 PT-3.3.1-06 ' +
  'PT-3.3.1-09 PT-3.3.1-12 PT-3.3.1-14 PT-3.3.2-02 PT-3.3.2-05 PT-3.3.2-11 PT-3.3.2-12 ' +
  'PT-3.3.2-14 PT-3.3.3-08 PT-3.3.3-10 PT-3.3.3-11 PT-3.3.3-13';

/** Judges every start that said something. */
export function judgeLines(runs: readonly Run[], findings: Findings): void {
  for (const run of runs) {
    judgeFiles(run, findings);
    if (run.lines.length === 0 && run.tail === '') continue;
    judgeGrammar(run, findings);
    judgeOrder(run, findings);
    judgeEnds(run, findings);
    judgeMethodLines(run, findings);
  }
}

function describeStart(run: Run): string {
  const settings = Object.entries(run.variables)
    .filter(([name, value]) => value !== undefined && name !== 'TOR_PT_STATE_LOCATION')
    .map(([name, value]) => `${name}=${shown(value!)}`);
  return settings.join(' ');
}

/** What every line must be like; the first one that is not is the fault. */
const grammar: readonly (readonly [string, (line: string) => boolean, expected: string])[] = [
  [
    'PT-2-05',
    (line) => /^[A-Za-z0-9_-]+(?: [\s\S]+)?$/.test(line),
    'stdout that holds lines of the grammar and nothing else',
  ],
  ['PT-3.3-02', (line) => /^[A-Za-z0-9_-]/.test(line), 'a keyword at the very start of each line'],
  [
    'PT-3.3-03',
    (line) => /^[A-Za-z0-9_-]+$/.test(line.split(' ', 1)[0]!),
    'a keyword of letters, digits, dashes and underscores',
  ],
  ['PT-3.3-04', (line) => !line.endsWith(' '), 'no bare space at the end of a line'],
  [
    'PT-3.3-05',
    (line) => Buffer.from(line, 'latin1').every((byte) => byte > 0 && byte < 0x80),
    'US-ASCII without NUL',
  ],
  [
    'PT-3.3-06',
    (line) => !line.endsWith('\r') && !/^[A-Z0-9_-]+\t/.test(line),
    'SP between keyword and arguments, and NL alone at the end',
  ],
];

function judgeGrammar(run: Run, findings: Findings): void {
  const sent = describeStart(run);
  const isEnded = run.tail === '' || run.end === undefined;
  const judgeTail = findings.on(sent, `${shown(run.tail)} without NL at the end`);
  judgeTail('PT-3.3-01', isEnded, 'every message ended by NL');
  for (const [clause, isRight, expected] of grammar) {
    const wrong = run.lines.find((line) => !isRight(line));
    const came = wrong === undefined ? 'nothing else' : shown(wrong);
    findings.on(sent, came)(clause, wrong === undefined, expected);
  }
}

function judgeOrder(run: Run, findings: Findings): void {
  const kinds = run.lines
    .map((line) => kindOf(line))
    .filter((kind) => kind !== 'other')
    .join(' ');
  const judge = findings.on(describeStart(run), describeRun(run));
  judge(
    'PT-3-13',
    ORDER.test(kinds) || (!run.isDone && PREFIX.test(kinds)),
    'the messages in the order of steps 1 to 7, and none after a line that ends it',
  );
  // A version list that cannot be read is refused without an answer to it.
  const answers = (kinds.match(/VERSION/g) ?? []).length;
  judge(
    'PT-3.3.1-02',
    answers === 1 || kinds === 'ENV-ERROR',
    'exactly one line VERSION or VERSION-ERROR',
  );
  const firstWork = run.lines.findIndex((line) => /^(?:PROXY|[CS]METHOD)/.test(line));
  const version = run.lines.findIndex((line) => /^VERSION /.test(line));
  judge(
    'PT-3.3.1-09 PT-3-10',
    firstWork === -1 || (version !== -1 && version < firstWork),
    'no PROXY, CMETHOD or SMETHOD line before VERSION',
  );
  const proxyLines = run.lines.filter((line) => /^PROXY(?: DONE$|-ERROR )/.test(line)).length;
  if (run.isDone && run.variables['TOR_PT_CLIENT_TRANSPORTS'] !== undefined) {
    const wanted = run.variables['TOR_PT_PROXY'] === undefined ? 0 : 1;
    judge(
      'PT-3.3.2-02',
      proxyLines === wanted,
      `${wanted === 0 ? 'no PROXY line without' : 'one PROXY line with'} TOR_PT_PROXY`,
    );
  }
}

/** The part that a line plays in the order of messages. */
function kindOf(line: string): string {
  if (line.startsWith('VERSION ')) return 'VERSION';
  const [keyword = ''] = line.split(' ', 1);
  if (/^(?:VERSION|ENV|PROXY)-ERROR$/.test(keyword)) return keyword;
  if (line === 'PROXY DONE') return 'PROXY';
  if (/^CMETHOD(?:-ERROR)?$/.test(keyword)) return 'C';
  if (/^SMETHOD(?:-ERROR)?$/.test(keyword)) return 'S';
  if (line === 'CMETHODS DONE') return 'CDONE';
  if (line === 'SMETHODS DONE') return 'SDONE';
  return 'other';
}

const ORDER =
  /^(?:VERSION-ERROR|ENV-ERROR|VERSION(?: PROXY)?(?: C)*(?: ENV-ERROR| CDONE)|VERSION(?: S)*(?: ENV-ERROR| SDONE)|VERSION PROXY-ERROR)$/;

/** A start that did not get to its end has not broken the order. */
const PREFIX = /^(?:VERSION(?: PROXY)?(?: C)*|VERSION(?: S)*)?$/;

function judgeEnds(run: Run, findings: Findings): void {
  if (run.endedAfterError === undefined) return;
  const clauses = [
    ['VERSION-ERROR', 'PT-3.3.1-06'],
    ['ENV-ERROR', 'PT-3.3.1-14'],
    ['PROXY-ERROR', 'PT-3.3.2-05'],
  ] as const;
  for (const [keyword, clause] of clauses) {
    const at = run.lines.findIndex((line) => line.startsWith(keyword));
    if (at === -1) continue;
    findings.on(describeStart(run), describeRun(run))(
      clause,
      run.endedAfterError && at === run.lines.length - 1,
      `the end of the process after ${keyword}, with stdin still open, and no line more`,
    );
    if (keyword !== 'ENV-ERROR') continue;
    const judge = findings.on(describeStart(run), shown(run.lines[at]!));
    judge('PT-3.3.1-12', /^ENV-ERROR \S/.test(run.lines[at]!), 'ENV-ERROR with a message');
  }
}

function judgeMethodLines(run: Run, findings: Findings): void {
  const judge = findings.on(describeStart(run), describeRun(run));
  const names = run.methods.map(({ transport }) => transport);
  const asked = Object.entries(run.variables).flatMap(([name, value]) =>
    /^TOR_PT_(?:CLIENT|SERVER)_TRANSPORTS$/.test(name) && value !== undefined
      ? value.split(',')
      : [],
  );
  const isWellAsked = asked.every((name) => isTransportName(name));
  if (new Set(asked).size === asked.length) {
    judge('PT-3.1-01', new Set(names).size === names.length, 'at most one method line for a name');
  }
  const launched = run.methods.filter(({ keyword }) => !keyword.endsWith('-ERROR'));
  const rules = [
    ['PT-3.1-02', /^[A-Za-z_][A-Za-z0-9_]*$/, 'a C identifier'],
    ['PT-3.1-03', /^[A-Za-z_]/, 'a letter or underscore at the start'],
    ['PT-3.1-04', /^.[A-Za-z0-9_]*$/, 'letters, digits and underscores behind the first'],
  ] as const;
  for (const [clause, pattern, what] of rules) {
    if (launched.length === 0) break;
    judge(
      clause,
      launched.every(({ transport }) => pattern.test(transport)),
      `names of transports with ${what}`,
    );
  }
  for (const role of ['C', 'S'] as const) {
    const [errorClauses, doneClause] =
      role === 'C' ? ['PT-3.3.2-11 PT-3.3.2-12', 'PT-3.3.2-14'] : ['PT-3.3.3-11', 'PT-3.3.3-13'];
    const error = run.lines.find((line) => line.startsWith(`${role}METHOD-ERROR`));
    // Ill-formed names were ours.
    if (error !== undefined && isWellAsked) {
      const isRight = /^[CS]METHOD-ERROR [A-Za-z_][A-Za-z0-9_]* \S/.test(error);
      judge(
        errorClauses,
        isRight && run.isDone,
        `${role}METHOD-ERROR <transport> <message>, and the closing message all the same`,
      );
    }
    const done = run.lines.indexOf(`${role}METHODS DONE`);
    const after = run.lines.slice(done + 1);
    if (done !== -1) {
      judge(
        doneClause,
        !after.some((line) => /^[CS]METHOD/.test(line)),
        `no method line after ${role}METHODS DONE`,
      );
    }
  }
  for (const line of run.lines.filter((text) => text.startsWith('SMETHOD '))) {
    const args = line.split(' ').find((word) => word.startsWith('ARGS:'));
    if (args === undefined) continue;
    const judgeArgs = findings.on(describeStart(run), shown(line));
    const pairs = 'ARGS: followed by one or more <key>=<value> pairs, joined by commas';
    judgeArgs('PT-3.3.3-08', ARGS.test(args), pairs);
    const escapes = 'a backslash before each comma and equals sign inside a key or value';
    judgeArgs('PT-3.3.3-10', ESCAPED.test(args), escapes);
  }
}

const ARGS = /^ARGS:(?:(?:\\.|[^\\=,])+=(?:\\.|[^\\,])*)(?:,(?:\\.|[^\\=,])+=(?:\\.|[^\\,])*)*$/;

/** No value has a bare equals sign, and no backslash stands for nothing. */
const ESCAPED = /^ARGS:(?:(?:\\.|[^\\=,])*=(?:\\.|[^\\=,])*(?:,|$))*$/;

/** A path that the kit itself gave as relative tells nothing. */
function judgeFiles(run: Run, findings: Findings): void {
  const location = run.variables['TOR_PT_STATE_LOCATION'];
  if (location !== undefined && !location.startsWith('/')) return;
  findings.judge('PT-3.2.1-11 PT-3.2.1-12', run.strays.length === 0, {
    sent: describeStart(run),
    came: `it wrote ${run.strays.join(', ') || 'nothing'} outside its state directory (${describeEnd(run)})`,
    expected: 'files in the state directory alone',
  });
}
