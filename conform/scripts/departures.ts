/**
 * What the programs of docs/conformance-of-others.md do differently from the specification, found by the kit,
 * checked by hand and explained. The generator refuses a verdict that is not explained here.
 */

/** A program's departures, by clause. */
export type Departures = Readonly<Record<string, string>>;

/** What both Go programs have from goptlib 1.x, the library under them. */
const goptlib: Departures = {
  'PT-3-05':
    'Values are checked loosely (a relative state directory and ill-formed transport names pass), and a name with bytes that stdout cannot carry, such as a newline, ends it in a Go panic, “arg contains forbidden bytes”.',
  'PT-3-07':
    'A `TOR_PT_PROXY` that cannot be parsed, or has no port, ends it with exit code 1 and no PROXY-ERROR, nor any other word; an empty value counts as no proxy at all.',
  'PT-3.1-06':
    'Names are never compared with the grammar: an ill-formed one is answered with CMETHOD-ERROR like any other unknown name, or with a panic.',
  'PT-3.2.2-01':
    'The list is split at commas and taken as it comes: an empty name is answered with a CMETHOD-ERROR that names nothing, and a repeated name gets two listeners.',
  'PT-3.2.2-02': 'Unknown names are answered with CMETHOD-ERROR, as goptlib’s own example does.',
  'PT-3.2.2-05':
    'A value without a scheme or without a port ends it without PROXY-ERROR, and an empty one counts as none.',
  'PT-3.2.2-06': 'An IPv6 address without brackets ends it without PROXY-ERROR.',
  'PT-3.3.1-10':
    'The values are not checked as a whole: relative state directories, ill-formed names and other malformed values pass, or end it without ENV-ERROR.',
  'PT-3.3.2-15': 'Unknown names are answered with CMETHOD-ERROR, as goptlib’s own example does.',
  'PT-3.3.2-16':
    'When all names are unknown, a CMETHOD-ERROR for each stands before CMETHODS DONE.',
};

/** What obfs4proxy does, and lyrebird, its successor, as well. */
const obfs4proxy: Departures = {
  ...goptlib,
  'PT-3-02':
    'The role is decided before the version: with an empty list of transports it ends with “must be run as a managed transport” on stderr and no line on stdout, whatever the versions.',
  'PT-3-06':
    'Without any list of transports it ends with a word on stderr and no ENV-ERROR, because it takes itself for a program started by hand.',
  'PT-3.2.2-05':
    'A value without a scheme or without a port ends it without PROXY-ERROR, an empty one counts as none, port 0 passes, and SOCKS5 with a user but no password is refused.',
  'PT-3.2.1-10':
    'When the state directory cannot be made, it says so on stderr and ends without a line on stdout.',
  'PT-3.2.3-01': 'As for clients: an empty list ends it without ENV-ERROR, an empty name passes.',
  'PT-3.2.3-04': 'Options are accepted for names that are no identifiers.',
  'PT-3.2.3-06': 'A second, unescaped colon is taken as part of the value.',
  'PT-3.3.3-06':
    'Without `TOR_PT_SERVER_BINDADDR` it refuses to start; goptlib 1.x requires the variable.',
  'PT-3.3.3-08': 'Transports without arguments are announced with an empty `ARGS:`.',
  'PT-3.4-08':
    'With `TOR_PT_EXIT_ON_STDIN_CLOSE=1` it trusts stdin alone and no longer looks at its parent (`newTermMonitor`), so that it stays when somebody else holds the pipe open.',
  'PT-B-01':
    'The session of Appendix B sets no destination, and goptlib 1.x refuses to start a server without one.',
};

const lostSigterm: Departures = {
  'PT-3.4-07':
    'A SIGTERM that comes while transports are being started is lost in some runs: its channel for signals has no buffer (`newTermMonitor`), and Go drops what nobody is waiting for.',
};

/** What shows in some runs only, being a race. */
export const occasional: Readonly<Record<string, Departures>> = {
  lyrebird: lostSigterm,
  obfs4proxy: {
    ...lostSigterm,
    'PT-4-03':
      'Behind an HTTP proxy it looks the name up itself (strace shows the queries each time; the kit sees the socket when the name server takes long enough), and asks the proxy for nothing when there is no such name.',
  },
  'snowflake-client': {
    'PT-3.4-07':
      'Its handler for SIGTERM is set up after CMETHODS DONE; a signal before that kills it.',
  },
};

/** Each program's own. */
export const departures: Readonly<Record<string, Departures>> = {
  obfs4proxy: {
    ...obfs4proxy,
    'PT-3-11':
      'When one direction of a connection ends, both are closed (`copyLoop` in obfs4proxy.go), so that an answer to what was sent before a half-close is lost.',
  },
  lyrebird: {
    ...obfs4proxy,
    'PT-3-11':
      'It passes the close of neither side on (0.8.1): the application goes, its connection to the bridge and that to the ORPort stay, and so do those of the client. When 100 applications have come and gone, each of the two processes holds 200 descriptors that it did not hold before, and keeps them.',
  },
  'snowflake-client': {
    ...goptlib,
    'PT-2-06':
      'It looks at `TOR_PT_CLIENT_TRANSPORTS` alone, and starts as a client although a server was asked for too.',
    'PT-3-06': 'The same: the server’s variable is not looked at.',
    'PT-3.4-08': 'It does not look at its parent at all; the end of stdin is its only sign.',
  },
  tor: {
    'PT-2-02':
      'It connects to whatever address a CMETHOD names; that it is on this machine is not checked.',
    'PT-3.2.2-09':
      'It passes its own environment on to the PT and adds to it, so that a `TOR_PT_PROXY` of its own reaches the PT.',
    'PT-3.2.3-24': 'The same, with `TOR_PT_AUTH_COOKIE_FILE`.',
    'PT-3.3-05': 'It reads lines as C strings: what stands behind a NUL is not seen.',
    'PT-3.3-06': 'It splits at any white space, so that tabs do for spaces.',
    'PT-3.3-07':
      'Keywords are recognised by their beginnings: `VERSIONS 7` is taken for VERSION and fails the start, and `CMETHODX …` is taken for CMETHOD and then ends tor itself by an assertion (transports.c:1121, parse_method_line_helper).',
    'PT-3.3.2-03': 'It accepts PROXY DONE although it gave the PT no proxy.',
    'PT-3.3.2-08': 'What follows the three arguments is ignored, and so are additional spaces.',
    'PT-3.3.2-14': 'Only the beginning of the line is compared: `CMETHODS DONE DONE` is DONE.',
    'PT-3.3.2-17': 'A second CMETHOD for the same transport is ignored instead of refused.',
    'PT-3.3.3-13': 'To a client’s parent SMETHODS DONE is as good as CMETHODS DONE.',
    'PT-3.4-03':
      'Its own exit closes the PT’s stdin and sends SIGTERM in the same moment; there is no time to react to the first.',
    'PT-3.4-04': 'The same: SIGTERM is not kept for a PT that stays.',
    'PT-3.4-05': 'It exits without waiting for the PT: one that ignores SIGTERM outlives it.',
    'PT-3.5-03':
      'Backslash and semicolon are escaped, the equals sign is not (tor_escape_str_for_pt_args with “;\\”); PTs therefore split at the first bare one.',
    'PT-3.5-07':
      'When a PT chooses “no authentication”, tor goes on without the arguments instead of giving up.',
  },
};
