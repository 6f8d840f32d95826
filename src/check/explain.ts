/** What a failure can mean, and how to tell: what people who help others say every day. */

/** Why a bridge does not work. */
export type FailureKind =
  | 'unreadable'
  | 'foreign'
  | 'program'
  | 'lookup'
  | 'proxy'
  | 'refused'
  | 'filtered'
  | 'unreachable'
  | 'forbidden'
  | 'silent'
  | 'closes'
  | 'stranger'
  | 'mismatch'
  | 'clock'
  | 'behind'
  | 'expired'
  | 'identity'
  | 'certificate'
  | 'web'
  | 'path'
  | 'cut'
  | 'failed';

/** What is said about a kind of failure. */
interface Explanation {
  /** What it can mean, the likely first. */
  readonly meanings: readonly string[];
  /** How to tell, or what to do. */
  readonly advice: string;
}

const explanations: Readonly<Record<FailureKind, Explanation>> = {
  unreadable: {
    meanings: ['The line was cut, or changed on its way to you.'],
    advice: 'Copy it again, whole, from where it comes from.',
  },
  foreign: {
    meanings: ['The line is one for another program.'],
    advice: 'Name a program that has this transport: --pt.',
  },
  program: {
    meanings: ['The transport program does not run here, or does not have this transport.'],
    advice: 'Run the program alone, and read what it prints: it says why it does not start.',
  },
  lookup: {
    meanings: [
      'The host name is misspelled or gone, or the name server is not reached or tells lies.',
    ],
    advice: 'Look the name up from another network.',
  },
  proxy: {
    meanings: [
      'The upstream proxy does not run there, is of another type, or wants other credentials.',
    ],
    advice: 'Check its address and type with another program; nothing was sent around it.',
  },
  refused: {
    meanings: [
      'Nothing listens on that port: the bridge does not run, or its line is an old one.',
      'A censor, or a firewall, answers in the place of the bridge.',
    ],
    advice: 'Check from another network: a bridge that is down is down there, too.',
  },
  filtered: {
    meanings: [
      'The address or the port is blocked on the way.',
      'The bridge’s machine is off, or its own firewall drops connections.',
    ],
    advice: 'Check from another network: what answers there is blocked here.',
  },
  unreachable: {
    meanings: ['This machine is offline, or has no route to such an address (IPv6 without IPv6).'],
    advice: 'Check a bridge of the other address family, and this machine’s own connection.',
  },
  forbidden: {
    meanings: ['A firewall of this machine forbids the connection.'],
    advice: 'Read this machine’s firewall rules.',
  },
  silent: {
    meanings: [
      'The arguments are wrong: a bridge does not answer clients that it does not know.',
      'The clocks differ by more than an hour, which looks the same.',
      'Another transport, or another service, listens on that port.',
      'A censor lets the connection through and drops what it carries.',
    ],
    advice:
      'Compare the line with the bridge’s own, letter by letter, and the clock: --clock-from.',
  },
  closes: {
    meanings: [
      'Another service listens there, and does not like what it heard.',
      'The bridge is overloaded or shutting down.',
      'A censor has cut the connection.',
    ],
    advice: 'Check several times and from another network: a service closes each time and at once.',
  },
  stranger: {
    meanings: ['Something else listens on that port: the line’s port is wrong, or an old one.'],
    advice: 'Ask whoever runs the bridge for its line as it is now.',
  },
  mismatch: {
    meanings: [
      'Another transport listens on that port.',
      'The arguments are not the bridge’s.',
      'Somebody on the way changes what the connection carries.',
    ],
    advice: 'Compare the transport’s name and the arguments with the bridge’s own line.',
  },
  clock: {
    meanings: [
      'This machine’s clock is wrong, and the transport refuses clients with a wrong clock.',
    ],
    advice: 'Set the clock (`timedatectl set-ntp true`), and check again.',
  },
  behind: {
    meanings: [
      'The bridge itself works, but what it forwards to does not run, or is no Tor.',
      'The bridge forwards to another port than its Tor’s ORPort.',
    ],
    advice: 'Ask whoever runs the bridge to read its log; for another service leave --tor out.',
  },
  expired: {
    meanings: [
      'This machine’s clock is wrong.',
      'The bridge’s clock is or was wrong, or the certificate of its web server was not renewed.',
    ],
    advice: 'Compare this machine’s clock: --clock-from.',
  },
  identity: {
    meanings: [
      'The bridge was set up anew, and the line is an old one.',
      'Somebody answers in the bridge’s place.',
    ],
    advice: 'Do not use the line; get a new one from whoever runs the bridge.',
  },
  certificate: {
    meanings: [
      'Somebody answers in the bridge’s place: a censor, or the proxy of a company.',
      'The line was changed or cut: `servername`, `cert-domain` and `cert` say what the certificate must be.',
    ],
    advice: 'Compare the line with the bridge’s own, letter by letter; check from another network.',
  },
  web: {
    meanings: [
      'Another service than a web server listens on that port.',
      'A censor cuts connections that look like a visit to that name.',
      'The web server is overloaded or shutting down.',
    ],
    advice: 'Open the web site of `url` (without its path) in a browser, here and elsewhere.',
  },
  path: {
    meanings: [
      'The path in `url` is not the bridge’s: the line was changed or cut, or is an old one.',
      'The web server works, but the bridge behind it does not run.',
      'Another web server answers: a censor’s page, or a network that wants a log-in.',
    ],
    advice: 'Compare `url` with the bridge’s own, letter by letter; check from another network.',
  },
  cut: {
    meanings: ['A censor cuts connections after this many bytes.', 'The way is very slow.'],
    advice: 'Check with other amounts (--traffic), from here and from another network.',
  },
  failed: {
    meanings: ['Something else is in the way.'],
    advice: '`postern explain CODE` says more of the code.',
  },
};

/** What a failure of that kind can mean, and how to tell. */
export function explain(kind: FailureKind): Explanation {
  return explanations[kind];
}

/** What the first bytes of an answer look like; undefined for nothing that we know. */
export function nameOfProtocol(first: Uint8Array): string | undefined {
  const [type, major, minor = 0] = first;
  // A record: its type, and a version that begins with 3.
  if (type! >= 0x14 && type! <= 0x17 && major === 3 && minor <= 4) return 'TLS';
  if (type === 5 && first.length === 2) return 'SOCKS5';
  const text = Buffer.from(first).toString('latin1');
  return protocols.find(([pattern]) => pattern.test(text))?.[1];
}

const protocols: readonly (readonly [RegExp, string])[] = [
  [/^HTTP\/\d/, 'HTTP'],
  [/^<(?:!doctype|html|\?xml)/i, 'HTTP'],
  [/^SSH-/, 'SSH'],
  [/^220[ -]/, 'SMTP or FTP'],
  [/^(?:\* OK|\+OK)/, 'IMAP or POP3'],
  [/^RFB \d/, 'VNC'],
];
