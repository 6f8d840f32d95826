/** webtunnel's programs, paired before and behind web servers, in a network of their own. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../../src/pt/address.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { serveExchange } from './exchange.ts';
import { type Front, fronts } from './fronts.ts';
import { temporaryDirectory } from './managed.ts';
import { type PairingLoad, type PairingResult, runLoad } from './pairings.ts';
import { peerProgram } from './peers.ts';
import {
  type Cleanup,
  lyrebird,
  postern,
  programMissing,
  type PtProgram,
  startPtClient,
  startPtServer,
} from './pt-programs.ts';
import { listen } from './sockets.ts';
import { type CertificateFiles, makeSite } from './web-server.ts';

/** The addresses of bridge.example: the official client refuses those of this machine and private ones. */
const addresses = ['203.0.113.10', '2001:db8:77::10'] as const;

function program(name: string): PtProgram {
  return { name, command: [peerProgram(name, true) ?? name] };
}

/** The official programs. */
const officialClient: PtProgram = program('webtunnel-client');
const officialServer: PtProgram = program('webtunnel-server');

/** For `skip` of a test: why there is no pairing of two programs, or false. */
export function pairMissing({ client, server, front }: WebtunnelPair): string | false {
  return programMissing(client) || programMissing(server) || (front?.missing ?? false);
}

/** For `skip` of a test: why this is not the network that it needs, or false. */
export const placeMissing: string | false = (() => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const hasAll = addresses.every((address) => own.some((found) => found.address === address));
  return !hasAll && 'this is not the network of scripts/webtunnel-network.sh';
})();

/** A client, a server, and what is between them. */
export interface WebtunnelPair {
  readonly client: PtProgram;
  readonly server: PtProgram;
  /** Undefined for plain HTTP, and for our server alone. */
  readonly front?: Front;
  /** Whether our server is the web server. */
  readonly isAlone?: true;
  /** Whether it has a certificate of its own, which the bridge line pins. */
  readonly isPinned?: true;
}

const behind: readonly WebtunnelPair[] = [
  { client: postern, server: postern },
  { client: postern, server: officialServer },
  { client: officialClient, server: postern },
  { client: lyrebird, server: postern },
];

/** Everything that is tried. */
export const webtunnelPairs: readonly WebtunnelPair[] = [
  ...behind,
  ...fronts.flatMap((front) =>
    behind
      .filter(({ client, server }) => !front.isStrict || (client === postern && server === postern))
      .map((pair) => ({ ...pair, front })),
  ),
  ...[postern, officialClient, lyrebird].flatMap((client): readonly WebtunnelPair[] => [
    { client, server: postern, isAlone: true },
    { client, server: postern, isAlone: true, isPinned: true },
  ]),
];

/** For titles and tables. */
export function nameOfPair(pair: WebtunnelPair): string {
  return `${pair.client.name} to ${pair.server.name}, ${whereOf(pair)}`;
}

/** What ends the TLS of a pair, if anything does. */
export function whereOf({ front, isAlone, isPinned }: WebtunnelPair): string {
  return isAlone ? `alone${isPinned ? ', pinned' : ''}` : (front?.name ?? 'plain HTTP');
}

const SECRET = '/tea-and-biscuits';
let nextPort = 20_000;

/** A port of bridge.example that nobody has: this network is ours alone. */
export function publicEndpoint(): Endpoint {
  nextPort += 1;
  return { host: addresses[0], port: nextPort };
}

/** A private authority whose root our programs and the official ones trust, and its certificate for the bridge. */
export interface Authority {
  readonly root: string;
  readonly certificate: CertificateFiles;
}

/** Makes it, and has it trusted by all programs that are started from now on. */
export function makeAuthority(folder: string): Authority {
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore' });
  };
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl(
    ...['req', '-x509', ...key, '-days', '30', '-subj', '/CN=Test root'],
    ...[
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-keyout',
      path('root.key'),
      '-out',
      path('root.pem'),
    ],
  );
  openssl(
    ...[
      'req',
      ...key,
      '-subj',
      '/CN=bridge.example',
      '-keyout',
      path('leaf.key'),
      '-out',
      path('leaf.csr'),
    ],
  );
  writeFileSync(
    path('leaf.ext'),
    `subjectAltName=DNS:bridge.example,DNS:other.example,${addresses.map((ip) => `IP:${ip}`).join(',')}\n`,
  );
  openssl(
    ...['x509', '-req', '-days', '30', '-in', path('leaf.csr'), '-CA', path('root.pem')],
    ...[
      '-CAkey',
      path('root.key'),
      '-CAcreateserial',
      '-extfile',
      path('leaf.ext'),
      '-out',
      path('leaf.pem'),
    ],
  );
  process.env['SSL_CERT_FILE'] = path('root.pem');
  return { root: path('root.pem'), certificate: { cert: path('leaf.pem'), key: path('leaf.key') } };
}

/** Starts both programs and what is between them, and carries bytes and opens connections through them. */
export async function runWebtunnelPair(
  t: Cleanup,
  pair: WebtunnelPair,
  { certificate }: Authority,
  load: PairingLoad,
): Promise<PairingResult> {
  const { client, server, front, isAlone, isPinned } = pair;
  const folder = temporaryDirectory(t);
  const site = makeSite(folder);
  const target = await listen(t, (socket) => void serveExchange(socket));
  const at = publicEndpoint();
  const scheme = isAlone || front !== undefined ? 'https' : 'http';
  const name = scheme === 'http' ? formatEndpoint(at) : `bridge.example:${at.port}`;
  const own: KeyValues = isPinned
    ? [['site', site]]
    : [
        ['tls-cert', certificate.cert],
        ['tls-key', certificate.key],
        ['site', site],
      ];
  const bridge = front === undefined ? at : { host: '127.0.0.1', port: at.port };
  const [{ endpoint, args }, { dialer }] = await Promise.all([
    startPtServer(t, server, {
      transport: 'webtunnel',
      orPort: target.endpoint,
      bindAddress: bridge,
      options: [
        ['url', `${scheme}://${name}${SECRET}`],
        ...(isAlone ? own : []),
        ...(server === postern ? (front?.options ?? []) : []),
      ],
    }),
    startPtClient(t, client, 'webtunnel'),
  ]);
  await front?.start(t, { folder, certificate, site, listen: at, secret: SECRET, bridge });
  return runLoad(() => dialer(args)(endpoint), load);
}
