/** `postern run` as a bridge in a process of its own, with every door that a bridge can have. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import assert from 'node:assert/strict';
import { systemRng } from '../../src/crypto/rng.ts';
import { Link } from '../../src/engine/embedded/link.ts';
import { createExtOrClient } from '../../src/extor/client.ts';
import { decodeCookieFile } from '../../src/extor/cookie-file.ts';
import type { Rng } from '../../src/crypto/rng.ts';
import { runExchange } from '../../src/net/exchange.ts';
import type { DialOptions } from '../../src/net/dialer.ts';
import { secureClient } from '../../src/net/tls-client.ts';
import { openTransportStream } from '../../src/net/transport-stream.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { parseBridgeLine, type BridgeLine } from '../../src/pt/bridge-line.ts';
import { systemClock, systemTimers } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { temporaryDirectory } from './managed.ts';
import { ProbedProcess, type ProbedOptions } from './probed-process.ts';
import type { Cleanup } from './pt-programs.ts';
import { closedPort, dial, echo, listen, readBytes } from './sockets.ts';
import { makeSite } from './web-server.ts';

/** A connection to the bridge, behind whatever disguise, and the socket at the bottom of it. */
export interface Wire {
  readonly stream: Duplex;
  readonly socket: Socket;
}

/** The client's end of a transport. */
export interface BridgeClient {
  readonly endpoint: Endpoint;
  /** TLS over a connection to there, where the transport has it. */
  readonly secure: (wire: Duplex, options?: DialOptions) => Promise<Duplex>;
  /** The handshake over that. */
  readonly open: (wire: Duplex, options?: DialOptions) => Promise<Duplex>;
}

/** What a bridge lets streams go to. */
export interface Targets {
  readonly echo: Endpoint;
  /** Takes connections and reads nothing. */
  readonly sink: Endpoint;
  /** Sends for as long as somebody reads. */
  readonly source: Endpoint;
  /** Nothing listens there. */
  readonly refused: Endpoint;
}

/** A bridge that runs. */
export class ProbedBridge {
  readonly process: ProbedProcess;
  readonly targets: Targets;
  readonly orPort: Endpoint;
  readonly extOrPort: Endpoint;
  readonly controlPort: Endpoint;
  readonly bridgeLines: readonly BridgeLine[];
  readonly #directory: string;

  private constructor(
    fields: Pick<
      ProbedBridge,
      'process' | 'targets' | 'orPort' | 'extOrPort' | 'controlPort' | 'bridgeLines'
    >,
    directory: string,
  ) {
    this.process = fields.process;
    this.targets = fields.targets;
    this.orPort = fields.orPort;
    this.extOrPort = fields.extOrPort;
    this.controlPort = fields.controlPort;
    this.bridgeLines = fields.bridgeLines;
    this.#directory = directory;
  }

  /** Starts one, until the test has ended. */
  static async start(t: Cleanup, options: ProbedOptions = {}): Promise<ProbedBridge> {
    const directory = temporaryDirectory(t);
    const targets = await startTargets(t);
    const [orPort, extOrPort, web] = [await closedPort(), await closedPort(), await closedPort()];
    const transports = [...builtinTransports].map(({ name }) => name);
    const torrc = [
      `DataDirectory ${directory}`,
      'SocksPort 0',
      'ControlPort auto',
      `ORPort 127.0.0.1:${orPort.port}`,
      `ExtORPort 127.0.0.1:${extOrPort.port}`,
      `ServerTransportPlugin ${transports.join(',')} builtin`,
      ...transports.map(
        (name) =>
          `ServerTransportListenAddr ${name} 127.0.0.1:${name === 'webtunnel' ? web.port : 0}`,
      ),
      `ServerTransportOptions webtunnel url=https://127.0.0.1:${web.port}/secret site=${makeSite(directory)}`,
      'ExitPolicyRejectPrivate 0',
      ...Object.values(targets).map(
        ({ host, port }: Endpoint) => `ExitPolicy accept ${host}:${port}`,
      ),
      'ExitPolicy reject *:*',
      'ShutdownWaitLength 0',
    ];
    writeFileSync(join(directory, 'torrc'), `${torrc.join('\n')}\n`);
    const process = new ProbedProcess(t, ['run', '-f', join(directory, 'torrc')], options);
    const controlPort = await process.address(/Controllers connect to (\S+)/);
    const [, linesFile] = await process.line(/what clients need is in (.*)$/);
    const bridgeLines = readFileSync(linesFile!, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('Bridge '))
      .map((line) => parseBridgeLine(line.slice('Bridge '.length)));
    return new ProbedBridge(
      { process, targets, orPort, extOrPort, controlPort, bridgeLines },
      directory,
    );
  }

  /** What a client needs for a transport. */
  bridgeLine(transport: string): BridgeLine {
    return this.bridgeLines.find((line) => line.transport === transport)!;
  }

  /** A client's session of a transport. */
  client(transport: string): BridgeClient {
    const { args, endpoint } = this.bridgeLine(transport);
    const sources = { rng: systemRng, clock: systemClock };
    const createSession = builtinTransports.get(transport).client(args, sources);
    const { target, tls } = createSession.routes?.()[0] ?? { target: endpoint };
    return {
      endpoint: target,
      secure: (wire, options) =>
        tls === undefined ? Promise.resolve(wire) : secureClient(wire, tls, options),
      open: (wire, options) => openTransportStream(wire, createSession(endpoint), options),
    };
  }

  /** What an Extended ORPort client says. */
  extOrClient(rng: Rng = systemRng): ReturnType<typeof createExtOrClient> {
    const cookie = readFileSync(join(this.#directory, 'extended_orport_auth_cookie'));
    return createExtOrClient({ cookie: decodeCookieFile(cookie), rng, transport: 'obfs4' });
  }

  /** Connects by its ORPort, its ExtORPort, or a transport. */
  async connect(way: string): Promise<Wire> {
    const endpoints: Record<string, Endpoint> = { ORPort: this.orPort, ExtORPort: this.extOrPort };
    const client = way in endpoints ? undefined : this.client(way);
    const socket = (await dial(endpoints[way] ?? client!.endpoint)) as Socket;
    if (way === 'ORPort') return { stream: socket, socket };
    if (way === 'ExtORPort') {
      await runExchange(socket, this.extOrClient());
      return { stream: socket, socket };
    }
    return { stream: await client!.open(await client!.secure(socket)), socket };
  }

  /** A stream to the echo, on a link of its own that ends with it. */
  async openEcho(way = 'ORPort'): Promise<Duplex> {
    const { stream } = await this.connect(way);
    const link = await Link.open(stream, { timers: systemTimers });
    return (await link.connect(this.targets.echo)).once('close', () => link.close());
  }

  /** @throws Error unless an ordinary client is served on a link of its own */
  async serveOne(way = 'ORPort'): Promise<void> {
    await checkStream(await this.openEcho(way));
  }
}

/** @throws Error unless what is sent comes back, and the end behind it */
export async function checkStream(stream: Duplex): Promise<void> {
  const sent = Buffer.alloc(CHECK_BYTES, 'a good client ');
  stream.end(sent);
  assert.ok((await readBytes(stream, CHECK_BYTES)).equals(sent));
  stream.destroy();
}

/** Holds the last connections, and reads none of them: it sees no end, so older ones must go. */
function holdSome(): (socket: Socket) => void {
  const held: Socket[] = [];
  return (socket) => {
    held.push(socket.pause());
    if (held.length > MAX_HELD) held.shift()!.destroy();
  };
}

async function startTargets(t: Cleanup): Promise<Targets> {
  const chunk = Buffer.alloc(65_536);
  const pour = (socket: Socket): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  return {
    echo: (await listen(t, echo)).endpoint,
    sink: (await listen(t, holdSome())).endpoint,
    source: (await listen(t, (socket) => pour(socket.on('drain', () => pour(socket))))).endpoint,
    refused: await closedPort(),
  };
}

const MAX_HELD = 200;
const CHECK_BYTES = 20_000;
