/** Starts that differ in the environment alone: what is refused, with which line, and what is taken. */
import type { Lab, Role } from '../lab.ts';
import type { Run, Variables } from '../run.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeRun, isReady, isRefusal, messages } from './transcript.ts';

/** What a start must come to. */
type Outcome =
  | 'ready'
  | 'VERSION-ERROR'
  | 'ENV-ERROR'
  | 'an error line, no VERSION'
  | 'PROXY DONE'
  | 'PROXY-ERROR'
  | 'PROXY DONE or PROXY-ERROR';

/** One start. `$NAME` in a value stands for the transport that is examined. */
interface Row {
  readonly clauses: string;
  readonly role: Role | 'any';
  readonly changes: Variables;
  readonly outcome: Outcome;
  /** What the text of the error must hold, and what it must not. */
  readonly text?: { readonly clause: string; readonly pattern: RegExp; readonly what: string };
}

const MANY_VERSIONS = Array.from({ length: 5000 }, (_, index) => `v${index}`).join(',');

const versions: readonly Row[] = [
  ...['2,3', '01', '1a', '1.0', '+1'].map((list): Row => ({
    clauses: 'PT-3-03 PT-3.3.1-03 PT-3.3.1-01 PT-3.3.1-02 PT-3.3.1-09 PT-3.2.1-05',
    role: 'any',
    changes: { TOR_PT_MANAGED_TRANSPORT_VER: list },
    outcome: 'VERSION-ERROR',
    text: { clause: 'PT-3.3.1-04', pattern: / no-version$/, what: 'VERSION-ERROR no-version' },
  })),
  {
    clauses: 'PT-3-02',
    role: 'client',
    changes: {
      TOR_PT_MANAGED_TRANSPORT_VER: '2',
      TOR_PT_STATE_LOCATION: 'relative',
      TOR_PT_CLIENT_TRANSPORTS: '',
      TOR_PT_PROXY: 'gopher://127.0.0.1:1',
    },
    outcome: 'VERSION-ERROR',
  },
  {
    clauses: 'PT-3-02',
    role: 'server',
    changes: {
      TOR_PT_MANAGED_TRANSPORT_VER: '2',
      TOR_PT_STATE_LOCATION: 'relative',
      TOR_PT_SERVER_BINDADDR: 'nothing',
    },
    outcome: 'VERSION-ERROR',
  },
  ...['1', '9,1', '1,9', 'a,b,1,c', `${MANY_VERSIONS},1,${MANY_VERSIONS}`].map((list): Row => ({
    clauses: 'PT-3.2.1-03 PT-3-04 PT-3.3.1-01 PT-3.3.1-02 PT-3.3.1-07 PT-3.3.1-08',
    role: 'any',
    changes: { TOR_PT_MANAGED_TRANSPORT_VER: list },
    outcome: 'ready',
  })),
  {
    clauses: 'PT-3.2.1-06 PT-3.2.1-03',
    role: 'any',
    changes: { TOR_PT_MANAGED_TRANSPORT_VER: '1,1a,2b,this_is_a_valid_ver' },
    outcome: 'ready',
  },
  {
    clauses: 'PT-3.3.1-01',
    role: 'any',
    changes: { TOR_PT_MANAGED_TRANSPORT_VER: undefined },
    outcome: 'an error line, no VERSION',
  },
];

/** A malformed value of one variable. */
function malformed(role: Role, clauses: string, variable: string, values: Values): readonly Row[] {
  return values.map((value) => ({
    clauses: `PT-3-05 PT-3.3.1-10 ${clauses}`.trim(),
    role,
    changes: { [variable]: value },
    outcome: 'ENV-ERROR',
    text: {
      clause: 'PT-3.3.1-13',
      pattern: new RegExp(variable),
      what: `an ENV-ERROR that names ${variable}`,
    },
  }));
}

type Values = readonly (string | undefined)[];

const environment: readonly Row[] = [
  ...malformed('client', '', 'TOR_PT_STATE_LOCATION', [undefined, '', 'state/pt']),
  ...malformed('server', '', 'TOR_PT_STATE_LOCATION', [undefined, '', 'state/pt']),
  ...malformed('client', 'PT-3.2.2-01', 'TOR_PT_CLIENT_TRANSPORTS', ['', '$NAME,,other']),
  ...malformed('client', 'PT-3.1-06', 'TOR_PT_CLIENT_TRANSPORTS', [
    '$NAME,a-b',
    '$NAME,a.b',
    '$NAME,9x',
    '$NAME,tr\u00e9buchet',
    '$NAME\n',
  ]),
  ...malformed('server', 'PT-3.2.3-01', 'TOR_PT_SERVER_TRANSPORTS', ['', '$NAME,']),
  ...malformed('server', 'PT-3.1-06', 'TOR_PT_SERVER_TRANSPORTS', ['$NAME,a-b']),
  ...malformed('server', 'PT-3.2.3-09', 'TOR_PT_SERVER_BINDADDR', [
    '$NAME',
    '$NAME-127.0.0.1',
    '$NAME-127.0.0.1:http',
    '$NAME-127.0.0.1:65536',
    '$NAME-300.1.1.1:80',
    '$NAME-localhost:1984',
  ]),
  // What a parent must not do; that a proxy minds is the general rule for values.
  ...malformed('server', '', 'TOR_PT_SERVER_BINDADDR', [
    '$NAME-127.0.0.1:1984,$NAME-127.0.0.1:1985',
    'absent_one-127.0.0.1:1984',
  ]),
  ...malformed('server', 'PT-3.2.3-04', 'TOR_PT_SERVER_TRANSPORT_OPTIONS', [
    '$NAME',
    '$NAME:key',
    'a-b:key=value',
    '$NAME:key=value\\',
  ]),
  ...malformed('server', 'PT-3.2.3-06', 'TOR_PT_SERVER_TRANSPORT_OPTIONS', ['$NAME:key=a:b']),
  ...malformed('server', 'PT-3.2.3-16', 'TOR_PT_ORPORT', [
    '127.0.0.1',
    'localhost:9001',
    '127.0.0.1:65536',
  ]),
  {
    clauses: 'PT-3-05 PT-3.3.1-10 PT-3.2.3-19',
    role: 'server',
    changes: {
      TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1',
      TOR_PT_AUTH_COOKIE_FILE: '/nonexistent/cookie',
    },
    outcome: 'ENV-ERROR',
    text: {
      clause: 'PT-3.3.1-13',
      pattern: /TOR_PT_EXTENDED_SERVER_PORT/,
      what: 'an ENV-ERROR that names TOR_PT_EXTENDED_SERVER_PORT',
    },
  },
  {
    clauses: 'PT-3-05 PT-3.3.1-10',
    role: 'server',
    changes: {
      TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:4200',
      TOR_PT_AUTH_COOKIE_FILE: 'cookie',
    },
    outcome: 'ENV-ERROR',
  },
  {
    clauses: 'PT-3.2.3-23 PT-3-05 PT-3.3.1-10',
    role: 'server',
    changes: {
      TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:4200',
      TOR_PT_AUTH_COOKIE_FILE: undefined,
    },
    outcome: 'ENV-ERROR',
    text: {
      clause: 'PT-3.3.1-15',
      pattern: /^(?=.*TOR_PT_AUTH_COOKIE_FILE)(?=.*TOR_PT_EXTENDED_SERVER_PORT)/,
      what: 'an ENV-ERROR that names both variables',
    },
  },
  {
    clauses: 'PT-2-06 PT-3-06',
    role: 'client',
    changes: { TOR_PT_SERVER_TRANSPORTS: '$NAME' },
    outcome: 'ENV-ERROR',
  },
  {
    clauses: 'PT-3-06 PT-3.3.1-10',
    role: 'client',
    changes: { TOR_PT_CLIENT_TRANSPORTS: undefined },
    outcome: 'ENV-ERROR',
  },
  {
    clauses: 'PT-3.2-01',
    role: 'any',
    changes: { TOR_PT_NOT_DEFINED_ANYWHERE: 'x', TOR_PT_: '' },
    outcome: 'ready',
  },
  {
    clauses: 'PT-3.2.3-23',
    role: 'server',
    changes: { TOR_PT_EXTENDED_SERVER_PORT: undefined },
    outcome: 'ready',
  },
  {
    clauses: 'PT-3.2.3-08 PT-3.2.3-04',
    role: 'server',
    changes: {
      TOR_PT_SERVER_TRANSPORT_OPTIONS: 'scramblesuit:key=banana;automata:rule=110;automata:depth=3',
    },
    outcome: 'ready',
  },
  {
    clauses: 'PT-3.2.1-09',
    role: 'any',
    changes: { TOR_PT_STATE_LOCATION: '$STATE/' },
    outcome: 'ready',
  },
];

const PASSWORD = 'Hk7-secret';

const upstreams: readonly Row[] = [
  {
    clauses: 'PT-3-08 PT-3.3.2-02 PT-3.3.2-03 PT-3.2.2-05',
    role: 'client',
    changes: { TOR_PT_PROXY: 'socks5://127.0.0.1:8001' },
    outcome: 'PROXY DONE',
  },
  ...['user:password', 'user'].map((user): Row => ({
    clauses: 'PT-3.2.2-05',
    role: 'client',
    changes: { TOR_PT_PROXY: `socks5://${user}@127.0.0.1:8001` },
    outcome: 'PROXY DONE',
  })),
  ...['socks5://us%40er:p%3Aw@[::1]:1080', 'SOCKS5://127.0.0.1:1080'].map((uri): Row => ({
    clauses: 'PT-3.2.2-06',
    role: 'client',
    changes: { TOR_PT_PROXY: uri },
    outcome: 'PROXY DONE',
  })),
  ...[
    'socks5://tor:test1234@127.0.0.1:8000',
    'socks4a://127.0.0.1:8001',
    'http://127.0.0.1:443',
  ].map((uri): Row => ({
    clauses: 'PT-3.2.2-07',
    role: 'client',
    changes: { TOR_PT_PROXY: uri },
    outcome: 'PROXY DONE or PROXY-ERROR',
  })),
  {
    clauses: 'PT-3-07 PT-3.2.2-07 PT-3.3.2-01 PT-3.3.2-02 PT-3.3.2-04',
    role: 'client',
    changes: { TOR_PT_PROXY: `gopher://user:${PASSWORD}@127.0.0.1:1` },
    outcome: 'PROXY-ERROR',
    text: {
      clause: 'PT-3.3.2-04',
      pattern: new RegExp(`^(?!.*${PASSWORD})`),
      what: 'a PROXY-ERROR that does not show the password',
    },
  },
  ...[
    '',
    '127.0.0.1:8001',
    'socks5://127.0.0.1',
    'socks5://127.0.0.1:0',
    'socks5://127.0.0.1:65536',
    'socks5://localhost:8001',
    'socks5://127.0.0.1:8001/path',
    'socks5://127.0.0.1:8001?query',
    'socks5://127.0.0.1:8001#fragment',
  ].map((uri): Row => ({
    clauses: 'PT-3.2.2-05 PT-3-07',
    role: 'client',
    changes: { TOR_PT_PROXY: uri },
    outcome: 'PROXY-ERROR',
  })),
  // A broken percent escape is not tried: tor passes user and password as they are, so that a bare "%" may
  // well be meant.
  {
    clauses: 'PT-3.2.2-06',
    role: 'client',
    changes: { TOR_PT_PROXY: 'socks5://::1:8001' },
    outcome: 'PROXY-ERROR',
  },
  ...['socks5://127.0.0.1:8001', 'gopher://nowhere'].map((uri): Row => ({
    clauses: 'PT-3-09',
    role: 'server',
    changes: { TOR_PT_PROXY: uri },
    outcome: 'ready',
  })),
];

const rows: readonly Row[] = [...versions, ...environment, ...upstreams];

/** One probe for each row. */
export const environmentProbes: readonly Probe[] = rows.map(probeOf);

/** One start of each kind: enough to judge what every start must be like. */
export const sampleProbes: readonly Probe[] = rows
  .filter(
    (row, index) =>
      index === rows.findIndex(({ role, outcome }) => role === row.role && outcome === row.outcome),
  )
  .map(probeOf);

function probeOf(row: Row): Probe {
  return {
    clauses: [...row.clauses.split(' '), ...(row.text === undefined ? [] : [row.text.clause])],
    title: startedWith(row.role === 'any' ? 'client' : row.role, row.changes),
    needs: row.role,
    async run(lab, findings) {
      const role = row.role === 'any' ? lab.anyRole : row.role;
      const upstreamRefusal =
        row.outcome === 'PROXY DONE' ? await lab.upstreamRefusal() : undefined;
      if (upstreamRefusal !== undefined) {
        findings.pass(
          row.clauses,
          'not applicable',
          `it takes no SOCKS5 proxy: ${upstreamRefusal}`,
        );
        return;
      }
      const changes = fill(lab, role, row.changes);
      const run = await lab.settled({ ...lab.variables(role), ...changes });
      const holds = isOutcome(run, row, lab.mainName(role));
      const evidence = {
        sent: startedWith(role, changes),
        came: describeRun(run),
        expected: describeOutcome(row.outcome),
      };
      for (const clause of row.clauses.split(' ')) {
        // The order of version and the rest is one clause; what is refused is the others.
        const isInOrder = clause !== 'PT-3-05' || messages(run)[0] === 'VERSION 1';
        findings.judge(clause, holds && isInOrder, evidence);
      }
      const error = run.lines.find((line) => /^(?:VERSION|ENV|PROXY)-ERROR /.test(line));
      if (row.text !== undefined && error !== undefined) {
        const { clause, pattern, what } = row.text;
        findings.judge(clause, pattern.test(error), { ...evidence, expected: what });
      }
      await run.stop();
    },
  };
}

function fill(lab: Lab, role: Role, changes: Variables): Variables {
  return Object.fromEntries(
    Object.entries(changes).map(([name, value]) => [
      name,
      value?.replaceAll('$NAME', lab.mainName(role)),
    ]),
  );
}

function isOutcome(run: Run, { outcome }: Row, name: string): boolean {
  const [first = '', second = '', third = ''] = messages(run);
  const hasListener = run.methods.some(({ transport }) => transport === name);
  const isUpstreamTaken = isReady(run) && second === 'PROXY DONE' && third.startsWith('CMETHOD');
  switch (outcome) {
    case 'ready': {
      const hasProxyLine = run.lines.some((line) => line.startsWith('PROXY'));
      return isReady(run) && hasListener && !hasProxyLine;
    }
    case 'VERSION-ERROR':
      return (
        first.startsWith('VERSION-ERROR ') && run.lines.length === 1 && run.endedAfterError === true
      );
    case 'an error line, no VERSION':
      return (
        /^(?:ENV|VERSION)-ERROR ./.test(first) &&
        run.lines.length === 1 &&
        run.endedAfterError === true
      );
    case 'ENV-ERROR':
    case 'PROXY-ERROR':
      return isRefusal(run, outcome);
    case 'PROXY DONE':
      return isUpstreamTaken;
    case 'PROXY DONE or PROXY-ERROR':
      return isUpstreamTaken || isRefusal(run, 'PROXY-ERROR');
  }
}

function describeOutcome(outcome: Outcome): string {
  switch (outcome) {
    case 'ready':
      return 'VERSION 1 and a complete start, up to METHODS DONE';
    case 'VERSION-ERROR':
      return 'one line VERSION-ERROR, and the end';
    case 'an error line, no VERSION':
      return 'an error line without VERSION, and the end';
    case 'ENV-ERROR':
      return 'VERSION 1, one line ENV-ERROR, and the end';
    case 'PROXY-ERROR':
      return 'VERSION 1, one line PROXY-ERROR, and the end';
    case 'PROXY DONE':
      return 'VERSION 1, PROXY DONE, then the CMETHOD lines';
    case 'PROXY DONE or PROXY-ERROR':
      return 'VERSION 1, then PROXY DONE and a complete start, or PROXY-ERROR and the end';
  }
}
