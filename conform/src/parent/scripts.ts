/** What the fake PT says, right and wrong, and what the parent is to make of it. */
import type { Role } from '../clauses.ts';

/** One performance of the fake PT. */
export interface Script {
  readonly title: string;
  readonly clauses: string;
  readonly role: Role;
  /**
   * What is written to stdout, each piece by itself. `$NAME` is the first transport that was asked for and
   * `$LAST` the last; `$SOCKS` is where the listener is, `$PORT` its port, `$BIND` where a server is to
   * listen; `$METHODS` is a method line for each transport, `$REVERSED` the same from the last to the
   * first, `$FIRST` without the last, `$REST` without the first.
   */
  readonly says: readonly string[];
  /** What the fake PT does behind it; it stays by default. */
  readonly then?: 'exit' | 'close stdout';
  /** Whether the parent must take it as a started PT and use it, must not, or must only live through it. */
  readonly expected: 'accepted' | 'refused' | 'either';
  /** Only with several transports. */
  readonly needsSeveral?: boolean;
  /** Only where the parent was told to use an upstream proxy; the others only where it was not. */
  readonly needsUpstream?: boolean;
  /** Written byte by byte. */
  readonly isCut?: boolean;
}

const accepted = (clauses: string, title: string, ...says: readonly string[]): Script => ({
  title,
  clauses,
  says,
  role: 'client',
  expected: 'accepted',
});

const refused = (clauses: string, title: string, ...says: readonly string[]): Script => ({
  ...accepted(clauses, title, ...says),
  expected: 'refused',
});

const MB = 1_000_000;
const ALMOST = 'CMETHODX $NAME socks5 127.0.0.1:1\n';
const OTHER = 'CMETHOD other_one socks5 127.0.0.1:9\n';
const V = 'VERSION 1\n';
const M = '$METHODS';
const D = 'CMETHODS DONE\n';

/** Unknown lines, of every look that the grammar allows. */
const UNKNOWN = [
  'FOO\n',
  'X-1_2 a b\n',
  'STATUS TRANSPORT=$NAME CONNECT=Success\n',
  'LOG SEVERITY=notice MESSAGE="conform"\n',
] as const;

const clientScripts: readonly Script[] = [
  accepted('PT-1-01 PT-3.3.1-08 PT-3.3.2-14', 'a plain start', V, M, D),
  accepted('PT-3.3-01', 'everything in one write', V + M + D),
  { ...accepted('PT-3.3-01', 'lines cut into single bytes', V, M, D), isCut: true },
  // Unknown words
  accepted('PT-3.3-07', 'unknown lines before VERSION', ...UNKNOWN, V, M, D),
  accepted('PT-3.3-07', 'unknown lines after VERSION', V, ...UNKNOWN, M, D),
  accepted('PT-3.3-07', 'unknown lines before and after DONE', V, M, ...UNKNOWN, D, ...UNKNOWN),
  accepted('PT-3.3-07', 'a line of 1 MB of an unknown word', V, `FOO ${'x'.repeat(MB)}\n`, M, D),
  accepted('PT-3.3-07', 'an unknown word of 1 MB', V, `${'X'.repeat(MB)}\n`, M, D),
  accepted('PT-3.3-07', 'ten thousand unknown lines', V, 'FOO bar\n'.repeat(10_000), M, D),
  accepted('PT-3.3-07', 'an unknown line in UTF-8', V, 'FOO \xc3\xa9\xe2\x82\xac\n', M, D),
  accepted('PT-3.3-07', 'an unknown line with NUL', V, 'FOO a\0b\n', M, D),
  accepted('PT-3.3-07', 'an unknown word that begins like a known one', V, ALMOST, M, D),
  accepted('PT-3.3-07', 'another one that does', 'VERSIONS 7\n', V, M, 'CMETHODSX DONE\n', D),
  // Lines that are none
  accepted('PT-3.3-02', 'an empty line', V, '\n', M, D),
  accepted('PT-3.3-02', 'a line that begins with a space', V, ' CMETHODS DONE\n', M, D),
  accepted('PT-3.3-02', 'a line that begins with "!"', V, '!FOO\n', M, D),
  refused('PT-3.3-02', 'DONE behind a space, and no other', V, M, ' CMETHODS DONE\n'),
  refused('PT-3.3-01', 'CMETHODS DONE without NL', V, M, 'CMETHODS DONE'),
  {
    ...refused('PT-3.3-01', 'CMETHODS DONE without NL, and the end', V, M, 'CMETHODS DONE'),
    then: 'exit',
  },
  refused('PT-3.3-03', 'version in lower case', 'version 1\n', M, D),
  refused('PT-3.3-03', '"VERSION: 1"', 'VERSION: 1\n', M, D),
  refused('PT-3.3-06', 'VERSION, tab, 1', 'VERSION\t1\n', M, D),
  refused('PT-3.3-06', 'CMETHODS, tab, DONE', V, M, 'CMETHODS\tDONE\n'),
  refused('PT-3.3-06', 'CMETHOD with tabs', V, 'CMETHOD\t$NAME\tsocks5\t$SOCKS\n', D),
  // The writer alone is bound: CR may stand in an argument, and tor takes this for DONE.
  { ...accepted('PT-3.3-05', 'DONE before CR NL', V, M, 'CMETHODS DONE\r\n'), expected: 'either' },
  refused('PT-3.3-05', 'NUL in the address', V, 'CMETHOD $NAME socks5 $SOCKS\0\n', D),
  refused('PT-3.3.2-14', 'CMETHODS MAYBE', V, M, 'CMETHODS MAYBE\n'),
  refused('PT-3.3.2-14', 'CMETHODS', V, M, 'CMETHODS\n'),
  refused('PT-3.3.2-14', 'CMETHODSX DONE', V, M, 'CMETHODSX DONE\n'),
  refused('PT-3.3.2-14', 'CMETHODS DONE DONE', V, M, 'CMETHODS DONE DONE\n'),
  refused('PT-3.3.3-13', 'SMETHODS DONE to a client', V, M, 'SMETHODS DONE\n'),
  // Versions
  refused('PT-3.3.1-07', 'VERSION 7, which was not offered', 'VERSION 7\n', M, D),
  refused('PT-3.3.1-07', 'VERSION without an argument', 'VERSION\n', M, D),
  refused('PT-3.3.1-07', 'VERSION 11', 'VERSION 11\n', M, D),
  refused('PT-3.3.1-07', 'VERSION 1 1', 'VERSION 1 1\n', M, D),
  refused('PT-3.3.1-02', 'VERSION twice', V, V, M, D),
  refused('PT-3.3.1-09', 'no VERSION at all', M, D),
  refused('PT-3.3.1-09', 'VERSION behind the methods', M, V, D),
  refused('PT-3.3.1-03 PT-3.3.1-06', 'VERSION-ERROR', 'VERSION-ERROR no-version\n', V, M, D),
  refused('PT-3.3.1-05', 'VERSION-ERROR in other words', 'VERSION-ERROR only 3\n', V, M, D),
  // Errors at every point
  refused('PT-3.3.1-11 PT-3.3.1-12', 'ENV-ERROR first', 'ENV-ERROR no\n', V, M, D),
  refused('PT-3.3.1-11 PT-3.3.1-12', 'ENV-ERROR after VERSION', V, 'ENV-ERROR no\n', M, D),
  refused('PT-3.3.1-11', 'ENV-ERROR after a CMETHOD', V, M, 'ENV-ERROR no\n', D),
  refused('PT-3.3.2-04', 'PROXY-ERROR', V, 'PROXY-ERROR no\n', M, D),
  refused('PT-3.3.2-03', 'PROXY DONE, though no proxy was given', V, 'PROXY DONE\n', M, D),
  // Methods
  refused('PT-3.3.2-08', 'another protocol', V, 'CMETHOD $NAME socks6 $SOCKS\n', D),
  refused('PT-3.3.2-08', 'no protocol', V, 'CMETHOD $NAME $SOCKS\n', D),
  refused('PT-3.3.2-08', 'no port', V, 'CMETHOD $NAME socks5 127.0.0.1\n', D),
  refused('PT-3.3.2-08', 'a port above 65535', V, 'CMETHOD $NAME socks5 127.0.0.1:99999\n', D),
  refused('PT-3.3.2-08', 'a host name', V, 'CMETHOD $NAME socks5 localhost:$PORT\n', D),
  refused('PT-3.3.2-08', 'an argument too many', V, 'CMETHOD $NAME socks5 $SOCKS more\n', D),
  refused('PT-3.3.2-08', 'two spaces', V, 'CMETHOD  $NAME socks5 $SOCKS\n', D),
  refused('PT-3.3.2-08', 'CMETHOD alone', V, 'CMETHOD\n', D),
  refused('PT-3.1-06', 'a name that is no identifier', V, 'CMETHOD 9$NAME socks5 $SOCKS\n', D),
  refused('PT-2-02', 'an address beyond loopback', V, 'CMETHOD $NAME socks5 0.0.0.0:$PORT\n', D),
  refused('PT-3.3.2-17', 'two lines for one transport', V, M, M, D),
  accepted('PT-3.3.2-17', 'a transport that nobody asked for', V, OTHER, M, D),
  refused('PT-3.3.2-11', 'CMETHOD-ERROR', V, 'CMETHOD-ERROR $NAME no rocks available\n', D),
  { ...accepted('PT-3.3.2-17', 'methods in another order', V, '$REVERSED', D), needsSeveral: true },
  {
    ...accepted(
      'PT-3.3.2-17 PT-3.3.2-12',
      'a failed transport among others',
      V,
      'CMETHOD-ERROR $LAST no rocks\n',
      '$FIRST',
      D,
    ),
    needsSeveral: true,
  },
  // What follows DONE, and other ends
  { ...accepted('PT-3.3.2-14', 'CMETHODS DONE twice', V, M, D, D), expected: 'either' },
  { ...accepted('PT-3.3.2-14', 'an end after DONE', V, M, D), then: 'exit', expected: 'either' },
  {
    ...accepted('PT-3.3.2-14', 'stdout closed after DONE', V, M, D),
    then: 'close stdout',
    expected: 'either',
  },
  refused('PT-3.3.2-14', 'nothing at all'),
  refused('PT-3.3.2-14', 'nothing after VERSION', V),
  refused('PT-3.3.2-14', 'nothing after the methods', V, M),
  refused('PT-3.3.2-14', 'a CMETHOD after DONE and none before', V, D, M),
  { ...refused('PT-3.3.2-14', 'an end at once'), then: 'exit' },
  { ...refused('PT-3.3.2-14', 'an end after VERSION', V), then: 'exit' },
  { ...refused('PT-3.3.2-14', 'an end after the methods', V, M), then: 'exit' },
  { ...refused('PT-3.3.2-14', 'stdout closed after VERSION', V), then: 'close stdout' },
  { ...refused('PT-3.3.2-14', 'stdout closed after the methods', V, M), then: 'close stdout' },
];

const withUpstream = (script: Script): Script => ({ ...script, needsUpstream: true });

const P = 'PROXY DONE\n';

/** To a parent that wants an upstream proxy used. */
const upstreamScripts: readonly Script[] = [
  accepted('PT-3.3.2-03 PT-3.2.2-05', 'PROXY DONE and a plain start', V, P, M, D),
  refused('PT-3.3.2-03', 'CMETHODS DONE without PROXY DONE', V, M, D),
  refused('PT-3.3.2-03', 'PROXY MAYBE', V, 'PROXY MAYBE\n', M, D),
  refused('PT-3.3.2-04', 'PROXY-ERROR, and PROXY DONE', V, 'PROXY-ERROR no\n', P, M, D),
  refused('PT-3.3.2-04', 'PROXY-ERROR, and nothing more', V, 'PROXY-ERROR no\n'),
].map(withUpstream);

const S = 'SMETHODS DONE\n';
const G = '$NAME $BIND';

/** What a server says of its first transport: the others are reported as they should be. */
const serverLines: readonly (readonly [
  Script['expected'],
  clauses: string,
  string,
  line: string,
])[] = [
  ['accepted', 'PT-3.3.3-07 PT-3.3.3-08', 'ARGS of one pair', `SMETHOD ${G} ARGS:N=13`],
  ['accepted', 'PT-3.3.3-08', 'ARGS of two pairs', `SMETHOD ${G} ARGS:cert=abc,iat-mode=0`],
  ['accepted', 'PT-3.3.3-07', 'an unknown option', `SMETHOD ${G} OTHER:x=y`],
  ['accepted', 'PT-3.3.3-10', 'ARGS with escapes', `SMETHOD ${G} ARGS:k=a\\=b\\,c`],
  // Whether the other transports are enough for it is up to the parent.
  ['either', 'PT-3.3.3-11', 'SMETHOD-ERROR', 'SMETHOD-ERROR $NAME no cows'],
  ['refused', 'PT-3.3.3-03', 'SMETHOD without an address', 'SMETHOD $NAME'],
  ['refused', 'PT-3.3.3-03', 'SMETHOD with a host name', 'SMETHOD $NAME localhost:1984'],
  ['refused', 'PT-3.3.3-03', 'SMETHOD with port 99999', 'SMETHOD $NAME 127.0.0.1:99999'],
  ['accepted', 'PT-3.3.3-08', 'ARGS without a pair', `SMETHOD ${G} ARGS:`],
  ['refused', 'PT-3.3.3-08', 'ARGS without "="', `SMETHOD ${G} ARGS:abc`],
];

const U = UNKNOWN.join('');

const serverScripts: readonly Script[] = [
  accepted('PT-1-01 PT-3.3.3-13 PT-3.3.3-03', 'a plain start of a server', V, M, S),
  accepted('PT-3.3-07', 'unknown lines everywhere, to a server', U, V, U, M, U, S),
  accepted('PT-3.3.3-14', 'methods in another order', V, '$REVERSED', S),
  ...serverLines.map(([expected, clauses, title, line]) => ({
    ...accepted(clauses, title, V, `${line}\n`, '$REST', S),
    expected,
  })),
  refused('PT-3.3.1-12', 'ENV-ERROR to a server’s parent', V, 'ENV-ERROR no\n'),
  {
    ...refused('PT-3.3.3-13', 'an end of a server after its methods', V, M),
    then: 'exit' as const,
  },
].map((script) => ({ ...script, role: 'server' as const }));

/** All of them. */
export const scripts: readonly Script[] = [...clientScripts, ...upstreamScripts, ...serverScripts];
