/** The table of environments: which value of which variable, for which role, comes to what. */
import type { Role } from '../clauses.ts';
import type { Variables } from './run.ts';

/** What a start must come to. */
export type Outcome =
  | 'ready'
  | 'VERSION-ERROR'
  | 'ENV-ERROR'
  | 'an error line, no VERSION'
  | 'PROXY DONE'
  | 'PROXY-ERROR'
  | 'PROXY DONE or PROXY-ERROR';

/** One start. `$NAME` in a value stands for the transport that is examined. */
export interface Row {
  readonly clauses: string;
  readonly role: Role | 'any';
  readonly changes: Variables;
  readonly outcome: Outcome;
  /** What the text of the error must hold, and what it must not. */
  readonly text?: { readonly clause: string; readonly pattern: RegExp; readonly what: string };
}

const VERSIONS = 'TOR_PT_MANAGED_TRANSPORT_VER';
const STATE = 'TOR_PT_STATE_LOCATION';
const CLIENT = 'TOR_PT_CLIENT_TRANSPORTS';
const SERVER = 'TOR_PT_SERVER_TRANSPORTS';
const BIND = 'TOR_PT_SERVER_BINDADDR';
const OPTIONS = 'TOR_PT_SERVER_TRANSPORT_OPTIONS';
const EXTENDED = 'TOR_PT_EXTENDED_SERVER_PORT';
const COOKIE = 'TOR_PT_AUTH_COOKIE_FILE';
const PROXY = 'TOR_PT_PROXY';

type Values = readonly (string | undefined)[];

/** A start for each value of one variable. */
function each(
  outcome: Outcome,
  role: Row['role'],
  clauses: string,
  variable: string,
  values: Values,
  text?: Row['text'],
): readonly Row[] {
  return values.map((value) => row(outcome, role, clauses, { [variable]: value }, text));
}

function row(
  outcome: Outcome,
  role: Row['role'],
  clauses: string,
  changes: Variables,
  text?: Row['text'],
): Row {
  return { clauses, role, changes, outcome, ...(text !== undefined && { text }) };
}

/** A malformed value of one variable. */
function malformed(role: Role, more: string, variable: string, values: Values): readonly Row[] {
  const clauses = `PT-3-05 PT-3.3.1-10 ${more}`.trim();
  return each('ENV-ERROR', role, clauses, variable, values, names(variable));
}

function names(variable: string): NonNullable<Row['text']> {
  const what = `an ENV-ERROR that names ${variable}`;
  return { clause: 'PT-3.3.1-13', pattern: new RegExp(variable), what };
}

const MANY_VERSIONS = Array.from({ length: 5000 }, (_, index) => `v${index}`).join(',');

const noVersion = {
  clause: 'PT-3.3.1-04',
  pattern: / no-version$/,
  what: 'VERSION-ERROR no-version',
};

const versions: readonly Row[] = [
  ...each(
    'VERSION-ERROR',
    'any',
    'PT-3-03 PT-3.3.1-03 PT-3.3.1-01 PT-3.3.1-02 PT-3.3.1-09 PT-3.2.1-05',
    VERSIONS,
    ['2,3', '01', '1a', '1.0', '+1'],
    noVersion,
  ),
  row('VERSION-ERROR', 'client', 'PT-3-02', {
    [VERSIONS]: '2',
    [STATE]: 'relative',
    [CLIENT]: '',
    [PROXY]: 'gopher://127.0.0.1:1',
  }),
  row('VERSION-ERROR', 'server', 'PT-3-02', {
    [VERSIONS]: '2',
    [STATE]: 'relative',
    [BIND]: 'nothing',
  }),
  ...each(
    'ready',
    'any',
    'PT-3.2.1-03 PT-3-04 PT-3.3.1-01 PT-3.3.1-02 PT-3.3.1-07 PT-3.3.1-08',
    VERSIONS,
    ['1', '9,1', '1,9', 'a,b,1,c', `${MANY_VERSIONS},1,${MANY_VERSIONS}`],
  ),
  row('ready', 'any', 'PT-3.2.1-06 PT-3.2.1-03', { [VERSIONS]: '1,1a,2b,this_is_a_valid_ver' }),
  row('an error line, no VERSION', 'any', 'PT-3.3.1-01', { [VERSIONS]: undefined }),
];

const bothNamed = {
  clause: 'PT-3.3.1-15',
  pattern: /^(?=.*TOR_PT_AUTH_COOKIE_FILE)(?=.*TOR_PT_EXTENDED_SERVER_PORT)/,
  what: 'an ENV-ERROR that names both variables',
};

const environment: readonly Row[] = [
  ...malformed('client', '', STATE, [undefined, '', 'state/pt']),
  ...malformed('server', '', STATE, [undefined, '', 'state/pt']),
  ...malformed('client', 'PT-3.2.2-01', CLIENT, ['', '$NAME,,other']),
  ...malformed('client', 'PT-3.1-06', CLIENT, [
    ...['$NAME,a-b', '$NAME,a.b', '$NAME,9x', '$NAME,tr\u00e9buchet', '$NAME\n'],
  ]),
  ...malformed('server', 'PT-3.2.3-01', SERVER, ['', '$NAME,']),
  ...malformed('server', 'PT-3.1-06', SERVER, ['$NAME,a-b']),
  ...malformed('server', 'PT-3.2.3-09', BIND, [
    ...['$NAME', '$NAME-127.0.0.1', '$NAME-127.0.0.1:http', '$NAME-127.0.0.1:65536'],
    ...['$NAME-300.1.1.1:80', '$NAME-localhost:1984'],
  ]),
  // What a parent must not do; that a proxy minds is the general rule for values.
  ...malformed('server', '', BIND, [
    '$NAME-127.0.0.1:1984,$NAME-127.0.0.1:1985',
    'absent_one-127.0.0.1:1984',
  ]),
  ...malformed('server', 'PT-3.2.3-04', OPTIONS, [
    ...['$NAME', '$NAME:key', 'a-b:key=value', '$NAME:key=value\\'],
  ]),
  ...malformed('server', 'PT-3.2.3-06', OPTIONS, ['$NAME:key=a:b']),
  ...malformed('server', 'PT-3.2.3-16', 'TOR_PT_ORPORT', [
    ...['127.0.0.1', 'localhost:9001', '127.0.0.1:65536'],
  ]),
  row(
    'ENV-ERROR',
    'server',
    'PT-3-05 PT-3.3.1-10 PT-3.2.3-19',
    { [EXTENDED]: '127.0.0.1', [COOKIE]: '/nonexistent/cookie' },
    names(EXTENDED),
  ),
  row('ENV-ERROR', 'server', 'PT-3-05 PT-3.3.1-10', {
    [EXTENDED]: '127.0.0.1:4200',
    [COOKIE]: 'cookie',
  }),
  row(
    'ENV-ERROR',
    'server',
    'PT-3.2.3-23 PT-3-05 PT-3.3.1-10',
    { [EXTENDED]: '127.0.0.1:4200', [COOKIE]: undefined },
    bothNamed,
  ),
  row('ENV-ERROR', 'client', 'PT-2-06 PT-3-06', { [SERVER]: '$NAME' }),
  row('ENV-ERROR', 'client', 'PT-3-06 PT-3.3.1-10', { [CLIENT]: undefined }),
  row('ready', 'any', 'PT-3.2-01', { TOR_PT_NOT_DEFINED_ANYWHERE: 'x', TOR_PT_: '' }),
  row('ready', 'server', 'PT-3.2.3-23', { [EXTENDED]: undefined }),
  row('ready', 'server', 'PT-3.2.3-08 PT-3.2.3-04', {
    [OPTIONS]: 'scramblesuit:key=banana;automata:rule=110;automata:depth=3',
  }),
  row('ready', 'any', 'PT-3.2.1-09', { [STATE]: '$STATE/' }),
];

const PASSWORD = 'Hk7-secret';

const upstreams: readonly Row[] = [
  ...each('PROXY DONE', 'client', 'PT-3-08 PT-3.3.2-02 PT-3.3.2-03 PT-3.2.2-05', PROXY, [
    'socks5://127.0.0.1:8001',
  ]),
  ...each('PROXY DONE', 'client', 'PT-3.2.2-05', PROXY, [
    'socks5://user:password@127.0.0.1:8001',
    'socks5://user@127.0.0.1:8001',
  ]),
  ...each('PROXY DONE', 'client', 'PT-3.2.2-06', PROXY, [
    ...['socks5://us%40er:p%3Aw@[::1]:1080', 'SOCKS5://127.0.0.1:1080'],
  ]),
  ...each('PROXY DONE or PROXY-ERROR', 'client', 'PT-3.2.2-07', PROXY, [
    'socks5://tor:test1234@127.0.0.1:8000',
    'socks4a://127.0.0.1:8001',
    'http://127.0.0.1:443',
  ]),
  row(
    'PROXY-ERROR',
    'client',
    'PT-3-07 PT-3.2.2-07 PT-3.3.2-01 PT-3.3.2-02 PT-3.3.2-04',
    { [PROXY]: `gopher://user:${PASSWORD}@127.0.0.1:1` },
    {
      clause: 'PT-3.3.2-04',
      pattern: new RegExp(`^(?!.*${PASSWORD})`),
      what: 'a PROXY-ERROR that does not show the password',
    },
  ),
  ...each('PROXY-ERROR', 'client', 'PT-3.2.2-05 PT-3-07', PROXY, [
    ...['127.0.0.1:8001', 'socks5://127.0.0.1', 'socks5://127.0.0.1:0', 'socks5://127.0.0.1:65536'],
    ...['socks5://localhost:8001', 'socks5://127.0.0.1:8001/path'],
    ...['socks5://127.0.0.1:8001?query', 'socks5://127.0.0.1:8001#fragment'],
  ]),
  // A broken percent escape is not tried: tor passes user and password as they are, so that a bare "%" may
  // well be meant.
  row('PROXY-ERROR', 'client', 'PT-3.2.2-06', { [PROXY]: 'socks5://::1:8001' }),
  ...each('ready', 'server', 'PT-3-09', PROXY, ['socks5://127.0.0.1:8001', 'gopher://nowhere']),
];

/** Every start, in the order of the environment: versions, values, the upstream proxy. */
export const rows: readonly Row[] = [...versions, ...environment, ...upstreams];
