/**
 * A Tor network of our own on loopback: an authority, three exits, and a bridge whose obfs4 is this build's.
 * It is there for one test file, in one temporary directory, and reaches nothing beyond loopback.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { temporaryDirectory } from './managed.ts';
import { peerProgram } from './peers.ts';
import { closedPort } from './sockets.ts';
import { TorProcess } from './tor-process.ts';
import { bridgeLines, bridgeTorrc, createPlugin } from './tor.ts';

const torGencert = peerProgram('tor-gencert');

/** For `skip` of a test: why there can be no network, or false. */
export const tornetMissing: string | false =
  torGencert === undefined ? 'tor, with its tor-gencert, is not installed' : false;

/** The nodes that are in the consensus besides the authority. */
const exits = ['exit1', 'exit2', 'exit3'] as const;

/**
 * The last resort, so that a start that hangs is told with the name of the node. It takes 8 s where nothing
 * else runs.
 */
const START_MS = 900_000;

/** A network that is up: its bridge has built a circuit. */
export interface TorNetwork extends AsyncDisposable {
  /** The torrc lines by which a tor becomes a client of this network and of no other. */
  readonly clientLines: readonly string[];
  /** The torrc line `Bridge obfs4 …` of its bridge. */
  readonly bridgeLine: string;
  /** Ends every process, and removes every file. */
  close(): Promise<void>;
}

/**
 * Starts a network.
 *
 * @throws Error that names the node and shows its last log lines, when one ends or the time is up; nothing
 * is left behind then
 */
export async function startTorNetwork(): Promise<TorNetwork> {
  const cleanups: (() => void | Promise<void>)[] = [];
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= closeAll());
  async function closeAll(): Promise<void> {
    for (const callback of cleanups.reverse()) await callback();
  }
  const failure = new AbortController();
  const start: Start = {
    after: (callback) => void cleanups.push(callback),
    signal: AbortSignal.any([AbortSignal.timeout(START_MS), failure.signal]),
    fail: (error) => failure.abort(error),
  };
  try {
    return { ...(await bringUp(start)), close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw failure.signal.aborted ? failure.signal.reason : error;
  }
}

/** A network that is being started. */
interface Start {
  after(callback: () => void | Promise<void>): void;
  /** The end of its time, or of a node. */
  readonly signal: AbortSignal;
  /** A node has ended. */
  fail(error: unknown): void;
}

/** In the order of events: no node starts before it can have what it needs, for tor retries slowly. */
async function bringUp(start: Start): Promise<Pick<TorNetwork, 'clientLines' | 'bridgeLine'>> {
  const { signal } = start;
  const root = temporaryDirectory(start);
  const run = (name: string, torrc: readonly string[]): TorProcess => {
    signal.throwIfAborted();
    const node = new TorProcess(name, join(root, name), torrc);
    start.after(() => node.kill());
    node.line(/Bootstrapped 100%/, { signal }).catch((error: unknown) => {
      if (!signal.aborted) start.fail(error);
    });
    return node;
  };

  const authorityDirectory = join(root, 'authority');
  const [orPort, dirPort] = [await closedPort(), await closedPort()];
  const identity = await createAuthority(authorityDirectory, dirPort);
  const clientLines = [
    'TestingTorNetwork 1',
    `DirAuthority authority orport=${orPort.port} v3ident=${identity.v3} ${formatEndpoint(dirPort)} ${identity.fingerprint}`,
    // Whatever a node is asked to reach: from this address it gets nowhere but to loopback.
    'OutboundBindAddress 127.0.0.1',
  ];

  const torrc = [...clientLines, ...authorityLines(orPort, dirPort)];
  const authority = run('authority', [...torrc, ...firstVoteInHalfAnHour()]);
  await authority.line(/Opened Directory listener/, { signal });
  for (const name of exits) run(name, [...clientLines, ...exitLines(name)]);
  for (const name of ['authority', ...exits]) {
    await authority.line(new RegExp(`Added descriptor from '${name}'`), { signal });
  }

  authority.reload([...torrc, ...firstVoteAtOnce()]);
  await authority.line(/Published microdesc consensus/, { signal });

  const plugin = await createPlugin(start);
  let pluginGone = Promise.resolve();
  start.after(() => pluginGone);
  const bridgeSetup = await bridgeTorrc(plugin.exec);
  const bridge = run('bridge', [...clientLines, 'Nickname bridge', ...bridgeSetup.torrc]);
  const { obfs4 } = await bridgeLines(bridge, bridgeSetup.addresses, signal);
  pluginGone = (await plugin.started).gone;
  await bridge.line(/Bootstrapped 100%/, { signal });
  return { clientLines, bridgeLine: obfs4 };
}

/** Makes the keys of an authority, and says by what the others know it. */
async function createAuthority(
  directory: string,
  dirPort: Endpoint,
): Promise<{ readonly v3: string; readonly fingerprint: string }> {
  const keys = join(directory, 'keys');
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  const certificate = join(keys, 'authority_certificate');
  const generate = spawn(
    torGencert!,
    [
      '--create-identity-key',
      ...['-i', join(keys, 'authority_identity_key')],
      ...['-s', join(keys, 'authority_signing_key')],
      ...['-c', certificate],
      ...['-a', formatEndpoint(dirPort)],
      ...['--passphrase-fd', '0'],
    ],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  );
  generate.stdin.end('nobody needs it again\n');
  const generated = once(generate, 'exit');
  await promisify(execFile)(peerProgram('tor')!, [
    ...['--defaults-torrc', '/dev/null', '--ignore-missing-torrc', '-f', join(directory, 'none')],
    ...['--DataDirectory', directory, '--ORPort', formatEndpoint(dirPort)],
    ...['--list-fingerprint', '--quiet'],
  ]);
  const [code] = (await generated) as [number | null];
  if (code !== 0) throw new Error(`tor-gencert ended with code ${code}`);
  return {
    v3: /^fingerprint (\w+)$/m.exec(readFileSync(certificate, 'latin1'))![1]!,
    fingerprint: readFileSync(join(directory, 'fingerprint'), 'latin1').trim().split(' ')[1]!,
  };
}

function authorityLines(orPort: Endpoint, dirPort: Endpoint): readonly string[] {
  return [
    'Nickname authority',
    'ContactInfo nobody@localhost',
    'Address 127.0.0.1',
    `ORPort ${formatEndpoint(orPort)} IPv4Only`,
    `DirPort ${formatEndpoint(dirPort)}`,
    'SocksPort 0',
    'ExitRelay 0',
    'AuthoritativeDirectory 1',
    'V3AuthoritativeDirectory 1',
    // The least that tor takes.
    'TestingV3AuthInitialVoteDelay 2',
    'TestingV3AuthInitialDistDelay 2',
    'V3AuthVoteDelay 2',
    'V3AuthDistDelay 2',
    // The first consensus is complete: there is no need for another while tests run.
    'V3AuthVotingInterval 30 minutes',
    'AuthDirSharedRandomness 0',
    // Who is new here, slow, and not yet reached is taken all the same.
    'AssumeReachable 1',
    'AuthDirTestReachability 0',
    'TestingDirAuthVoteExit *',
    'TestingDirAuthVoteGuard *',
    'TestingMinExitFlagThreshold 0',
    'TestingMinFastFlagThreshold 0',
  ];
}

/**
 * When an authority votes for the first time. Tor counts intervals from midnight UTC, plus an offset. A
 * consensus without the exits would be worse than none: who has it does not ask again for minutes. So the
 * authority is kept from voting until it knows them all, and is then told to vote.
 */
function firstVoteInHalfAnHour(): readonly string[] {
  const seconds = 30 * 60;
  return [
    'TestingV3AuthInitialVotingInterval 30 minutes',
    `TestingV3AuthVotingStartOffset ${Math.floor(Date.now() / 1000) % seconds}`,
  ];
}

/** Five seconds is the least that tor takes. What should have been done before, it does at once. */
function firstVoteAtOnce(): readonly string[] {
  const twoSecondsAhead = Math.ceil(Date.now() / 1000) + 1;
  return [
    'TestingV3AuthInitialVotingInterval 5 seconds',
    `TestingV3AuthVotingStartOffset ${twoSecondsAhead % 5}`,
  ];
}

function exitLines(name: string): readonly string[] {
  return [
    `Nickname ${name}`,
    'ContactInfo nobody@localhost',
    'Address 127.0.0.1',
    'ORPort 127.0.0.1:auto IPv4Only',
    'SocksPort 0',
    'AssumeReachable 1',
    'ExitRelay 1',
    // A policy that accepts less than everything is told to clients as one that accepts nothing.
    'ExitPolicy accept *:*',
    // They hear of the consensus late, and must not hand out what they do not have...
    'DirCache 0',
    // ...nor refuse streams because they do not know the relay before them.
    'RefuseUnknownExits 0',
    'ServerDNSDetectHijacking 0',
    'ServerDNSAllowBrokenConfig 1',
  ];
}
