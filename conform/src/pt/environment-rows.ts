/** The table of environments: which value of which variable, for which role, comes to what. */
import type { Role } from '../lab.ts';
import type { Variables } from '../run.ts';

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

/** Every start, in the order of the environment: versions, values, the upstream proxy. */
export const rows: readonly Row[] = [...versions, ...environment, ...upstreams];
