/** What every line of every start must be like, whatever the start was about. */
import { type Findings, shown } from '../findings.ts';
import { isTransportName } from 'postern/pt';
import type { Run } from '../run.ts';
import { describeEnd, describeRun } from './transcript.ts';

/** The clauses that are judged on the starts of all other probes. */
export const lineClauses: readonly string[] = [
  'PT-2-05',
  'PT-3-10',
  'PT-3-13',
  'PT-3.1-01',
  'PT-3.1-02',
  'PT-3.1-03',
  'PT-3.1-04',
  'PT-3.2.1-11',
  'PT-3.2.1-12',
  'PT-3.3-01',
  'PT-3.3-02',
  'PT-3.3-03',
  'PT-3.3-04',
  'PT-3.3-05',
  'PT-3.3-06',
  'PT-3.3.1-02',
  'PT-3.3.1-06',
  'PT-3.3.1-09',
  'PT-3.3.1-12',
  'PT-3.3.1-14',
  'PT-3.3.2-02',
  'PT-3.3.2-05',
  'PT-3.3.2-11',
  'PT-3.3.2-12',
  'PT-3.3.2-14',
  'PT-3.3.3-08',
  'PT-3.3.3-10',
  'PT-3.3.3-11',
  'PT-3.3.3-13',
];

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

/** One finding for a start: the first line that breaks a rule, or that none does. */
function judgeEach(
  run: Run,
  findings: Findings,
  clauses: string,
  lines: readonly string[],
  isRight: (line: string) => boolean,
  expected: string,
): void {
  const wrong = lines.find((line) => !isRight(line));
  findings.judge(clauses, wrong === undefined, {
    sent: describeStart(run),
    came: wrong === undefined ? 'nothing else' : shown(wrong),
    expected,
  });
}

function judgeGrammar(run: Run, findings: Findings): void {
  const each = (
    clauses: string,
    isRight: (line: string) => boolean,
    expected: string,
    lines: readonly string[] = run.lines,
  ): void => judgeEach(run, findings, clauses, lines, isRight, expected);

  findings.judge('PT-3.3-01', run.tail === '' || run.end === undefined, {
    sent: describeStart(run),
    came: `${shown(run.tail)} without NL at the end`,
    expected: 'every message ended by NL',
  });
  each(
    'PT-2-05',
    (line) => line !== '' && /^[A-Za-z0-9_-]+(?: [\s\S]+)?$/.test(line),
    'stdout that holds lines of the grammar and nothing else',
  );
  each(
    'PT-3.3-02',
    (line) => /^[A-Za-z0-9_-]/.test(line),
    'a keyword at the very start of each line',
  );
  each(
    'PT-3.3-03',
    (line) => /^[A-Za-z0-9_-]+$/.test(line.split(' ', 1)[0]!),
    'a keyword of letters, digits, dashes and underscores',
  );
  each('PT-3.3-04', (line) => !line.endsWith(' '), 'no bare space at the end of a line');
  each(
    'PT-3.3-05',
    (line) => Buffer.from(line, 'latin1').every((byte) => byte > 0 && byte < 0x80),
    'US-ASCII without NUL',
  );
  each(
    'PT-3.3-06',
    (line) => !line.endsWith('\r') && !/^[A-Z0-9_-]+\t/.test(line),
    'SP between keyword and arguments, and NL alone at the end',
  );
}

function judgeOrder(run: Run, findings: Findings): void {
  const kinds = run.lines
    .map((line) => kindOf(line))
    .filter((kind) => kind !== 'other')
    .join(' ');
  const evidence = { sent: describeStart(run), came: describeRun(run) };
  findings.judge('PT-3-13', ORDER.test(kinds) || (!run.isDone && PREFIX.test(kinds)), {
    ...evidence,
    expected: 'the messages in the order of steps 1 to 7, and none after a line that ends it',
  });
  // A version list that cannot be read is refused without an answer to it.
  const answers = (kinds.match(/VERSION/g) ?? []).length;
  findings.judge('PT-3.3.1-02', answers === 1 || kinds === 'ENV-ERROR', {
    ...evidence,
    expected: 'exactly one line VERSION or VERSION-ERROR',
  });
  const firstWork = run.lines.findIndex((line) => /^(?:PROXY|[CS]METHOD)/.test(line));
  const version = run.lines.findIndex((line) => /^VERSION /.test(line));
  findings.judge(
    'PT-3.3.1-09 PT-3-10',
    firstWork === -1 || (version !== -1 && version < firstWork),
    {
      ...evidence,
      expected: 'no PROXY, CMETHOD or SMETHOD line before VERSION',
    },
  );
  const proxyLines = run.lines.filter((line) => /^PROXY(?: DONE$|-ERROR )/.test(line)).length;
  if (run.isDone && run.variables['TOR_PT_CLIENT_TRANSPORTS'] !== undefined) {
    const wanted = run.variables['TOR_PT_PROXY'] === undefined ? 0 : 1;
    findings.judge('PT-3.3.2-02', proxyLines === wanted, {
      ...evidence,
      expected: `${wanted === 0 ? 'no PROXY line without' : 'one PROXY line with'} TOR_PT_PROXY`,
    });
  }
}

/** What a line is to the order of things. */
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
    findings.judge(clause, run.endedAfterError && at === run.lines.length - 1, {
      sent: describeStart(run),
      came: describeRun(run),
      expected: `the end of the process after ${keyword}, with stdin still open, and no line more`,
    });
    if (keyword === 'ENV-ERROR') {
      findings.judge('PT-3.3.1-12', /^ENV-ERROR \S/.test(run.lines[at]!), {
        sent: describeStart(run),
        came: shown(run.lines[at]!),
        expected: 'ENV-ERROR with a message',
      });
    }
  }
}

function judgeMethodLines(run: Run, findings: Findings): void {
  const evidence = { sent: describeStart(run), came: describeRun(run) };
  const names = run.methods.map(({ transport }) => transport);
  const asked = Object.entries(run.variables).flatMap(([name, value]) =>
    /^TOR_PT_(?:CLIENT|SERVER)_TRANSPORTS$/.test(name) && value !== undefined
      ? value.split(',')
      : [],
  );
  const isWellAsked = asked.every((name) => isTransportName(name));
  if (new Set(asked).size === asked.length) {
    findings.judge('PT-3.1-01', new Set(names).size === names.length, {
      ...evidence,
      expected: 'at most one method line for a name',
    });
  }
  const launched = run.methods.filter(({ keyword }) => !keyword.endsWith('-ERROR'));
  const rules = [
    ['PT-3.1-02', /^[A-Za-z_][A-Za-z0-9_]*$/, 'a C identifier'],
    ['PT-3.1-03', /^[A-Za-z_]/, 'a letter or underscore at the start'],
    ['PT-3.1-04', /^.[A-Za-z0-9_]*$/, 'letters, digits and underscores behind the first'],
  ] as const;
  for (const [clause, pattern, what] of rules) {
    if (launched.length === 0) break;
    findings.judge(
      clause,
      launched.every(({ transport }) => pattern.test(transport)),
      {
        ...evidence,
        expected: `names of transports with ${what}`,
      },
    );
  }
  for (const role of ['C', 'S'] as const) {
    const [errorClauses, doneClause] =
      role === 'C' ? ['PT-3.3.2-11 PT-3.3.2-12', 'PT-3.3.2-14'] : ['PT-3.3.3-11', 'PT-3.3.3-13'];
    const error = run.lines.find((line) => line.startsWith(`${role}METHOD-ERROR`));
    // Ill-formed names were ours.
    if (error !== undefined && isWellAsked) {
      const isRight = /^[CS]METHOD-ERROR [A-Za-z_][A-Za-z0-9_]* \S/.test(error);
      findings.judge(errorClauses, isRight && run.isDone, {
        ...evidence,
        expected: `${role}METHOD-ERROR <transport> <message>, and the closing message all the same`,
      });
    }
    const done = run.lines.indexOf(`${role}METHODS DONE`);
    const after = run.lines.slice(done + 1);
    if (done !== -1) {
      findings.judge(doneClause, !after.some((line) => /^[CS]METHOD/.test(line)), {
        ...evidence,
        expected: `no method line after ${role}METHODS DONE`,
      });
    }
  }
  for (const line of run.lines.filter((text) => text.startsWith('SMETHOD '))) {
    const args = line.split(' ').find((word) => word.startsWith('ARGS:'));
    if (args === undefined) continue;
    findings.judge('PT-3.3.3-08', ARGS.test(args), {
      sent: describeStart(run),
      came: shown(line),
      expected: 'ARGS: followed by one or more <key>=<value> pairs, joined by commas',
    });
    findings.judge('PT-3.3.3-10', ESCAPED.test(args), {
      sent: describeStart(run),
      came: shown(line),
      expected: 'a backslash before each comma and equals sign inside a key or value',
    });
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
