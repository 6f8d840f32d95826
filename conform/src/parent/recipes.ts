/** Commands that start a parent so that the kit can be its PT. */

/** One way of starting a parent. */
export interface Launch {
  /** The program and its arguments, with placeholders. */
  readonly template: readonly string[];
  /** Files of `{dir}` that the command reads, with placeholders. */
  readonly files?: Readonly<Record<string, string>>;
  /** What TOR_PT_SERVER_TRANSPORT_OPTIONS must be, where the command sets options. */
  readonly serverOptions?: string;
  /** Whether the parent is asked to use an Extended ORPort. */
  readonly hasExtendedOrPort?: boolean;
  /** What TOR_PT_PROXY must be, where the parent is told to use an upstream proxy. */
  readonly upstream?: string;
}

/** A tor that is kept from everything but this machine. */
function tor(lines: readonly string[], rest: Omit<Launch, 'template' | 'files'> = {}): Launch {
  const torrc = [
    'DataDirectory {dir}',
    'Log notice stdout',
    // No authority of the real network may ever be asked: this one is a closed port of our own.
    `DirAuthority none orport=1 v3ident=${'0'.repeat(39)}1 127.0.0.1:1 ${'0'.repeat(39)}2`,
    'UseDefaultFallbackDirs 0',
    // Reading the real tables takes longer than all the rest of a start.
    'GeoIPFile /dev/null',
    'GeoIPv6File /dev/null',
    ...lines,
  ];
  return {
    template: ['tor', '--defaults-torrc', '/dev/null', '-f', '{dir}/torrc'],
    files: { torrc: `${torrc.join('\n')}\n` },
    ...rest,
  };
}

const torClient: readonly string[] = [
  'UseBridges 1',
  'SocksPort auto',
  'ClientTransportPlugin conform_a,conform_b,conform_c exec {pt}',
  `Bridge conform_a 127.0.0.1:21 ${'1'.repeat(40)} {args}`,
  `Bridge conform_b 127.0.0.1:22 ${'2'.repeat(40)}`,
  `Bridge conform_c 127.0.0.1:23 ${'3'.repeat(40)}`,
];

/** Nobody is there: it is only to be passed on. */
const UPSTREAM = '127.0.0.1:10';

const torBridge: readonly string[] = [
  'BridgeRelay 1',
  'ORPort 127.0.0.1:auto IPv4Only',
  'Address 127.0.0.1',
  'AssumeReachable 1',
  'PublishServerDescriptor 0',
  'ExitRelay 0',
  'SocksPort 0',
  'ServerTransportPlugin conform_a,conform_b,conform_c exec {pt}',
  // In another order than the transports; nobody listens there.
  'ServerTransportListenAddr conform_c 127.0.0.1:20463',
  'ServerTransportListenAddr conform_b 127.0.0.1:20462',
  'ServerTransportListenAddr conform_a 127.0.0.1:20461',
];

const posternClient: readonly string[] = [
  ...['postern', 'client', 'conform_a 127.0.0.1:21 {args}'],
  ...['--forward-from', '{listen}', '--pt', '{pt}'],
];

/** Our daemon; to programs it always offers its Extended ORPort. */
function postern(lines: readonly string[], rest: Omit<Launch, 'template' | 'files'> = {}): Launch {
  return {
    template: ['postern', 'run', '-f', '{dir}/torrc'],
    files: { torrc: `${['DataDirectory {dir}', ...lines].join('\n')}\n` },
    ...rest,
  };
}

const posternBridge: readonly string[] = [
  'SocksPort 0',
  'ORPort 127.0.0.1:auto',
  'ServerTransportPlugin conform_a,conform_b,conform_c exec {pt}',
  'ServerTransportListenAddr conform_c 127.0.0.1:20463',
  'ServerTransportListenAddr conform_b 127.0.0.1:20462',
  'ServerTransportListenAddr conform_a 127.0.0.1:20461',
];

/** Ready recipes, by name. */
export const recipes: ReadonlyMap<string, readonly Launch[]> = new Map([
  [
    'tor',
    [
      tor(torClient),
      tor([...torClient, `Socks5Proxy ${UPSTREAM}`], { upstream: `socks5://${UPSTREAM}` }),
      tor(torBridge),
      tor(
        [...torBridge, 'ExtORPort auto', String.raw`ServerTransportOptions conform_a path=a:b;c\d`],
        {
          serverOptions: String.raw`conform_a:path=a\:b\;c\\d`,
          hasExtendedOrPort: true,
        },
      ),
    ],
  ],
  [
    'postern',
    [
      { template: posternClient },
      {
        template: [...posternClient, '--upstream', `socks5://${UPSTREAM}`],
        upstream: `socks5://${UPSTREAM}`,
      },
      postern([...posternBridge, String.raw`ServerTransportOptions conform_a path=a:b;c\d`], {
        serverOptions: String.raw`conform_a:path=a\:b\;c\\d`,
        hasExtendedOrPort: true,
      }),
    ],
  ],
]);
