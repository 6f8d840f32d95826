/** Embedded engines in this process, over loopback. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, PassThrough } from 'node:stream';
import { NEED_MORE } from '../../src/bytes/decoded.ts';
import { ByteBudget } from '../../src/bytes/budget.ts';
import type { TorrcFile } from '../../src/config/store.ts';
import type { ControlEngine, EngineEvent } from '../../src/control/engine.ts';
import { Daemon } from '../../src/engine/daemon.ts';
import type { DaemonOptions } from '../../src/engine/daemon-options.ts';
import { MuxConnection } from '../../src/mux/node/connection.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { formatBridgeLine } from '../../src/pt/bridge-line.ts';
import { decodeRequest5 } from '../../src/socks/decode.ts';
import { encodeGreeting, encodeRequest5 } from '../../src/socks/encode.ts';
import { SocksMethod } from '../../src/socks/messages.ts';
import { dial, listen, readBytes, socksConnect } from './sockets.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** A torrc that a test can read and rewrite. */
export interface MemoryTorrc extends TorrcFile {
  text: string;
}

/** Everything that an engine tells. */
export interface RecordedEvents {
  readonly events: readonly EngineEvent[];
  /** Resolves with the first event, past or to come, for which the predicate holds. */
  until<E extends EngineEvent>(predicate: (event: EngineEvent) => event is E): Promise<E>;
  until(predicate: (event: EngineEvent) => boolean): Promise<EngineEvent>;
}

/** An engine that a test has started, and everything that it has told. */
export interface TestEngine extends RecordedEvents {
  readonly engine: Daemon;
  readonly torrc: MemoryTorrc;
  readonly directory: string;
}

/** A torrc in memory. */
export function memoryTorrc(text: string): MemoryTorrc {
  return {
    text,
    async read() {
      return this.text;
    },
    async write(content) {
      this.text = content;
    },
    included: async () => [],
  };
}

/** Starts an engine in a directory of its own until the test has ended. Nothing listens by default. */
export async function startEngine(
  t: Cleanup,
  torrcText: string,
  options: Partial<DaemonOptions> = {},
): Promise<TestEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-engine-'));
  const torrc = memoryTorrc(
    `${/^SocksPort/m.test(torrcText) ? '' : 'SocksPort 0\n'}Log debug stderr\n${torrcText}`,
  );
  const stderr = new PassThrough();
  stderr.resume();
  const starting = Daemon.start({
    torrc,
    localDefaults: { DataDirectory: directory },
    home: directory,
    env: process.env,
    ownCommand: [],
    stdout: stderr,
    stderr,
    ...options,
  });
  const engine = await starting.catch(async (error: unknown) => {
    await rm(directory, { recursive: true });
    throw error;
  });
  t.after(async () => {
    await engine.close();
    await rm(directory, { recursive: true });
  });
  return { engine, torrc, directory, ...recordEvents(engine) };
}

/** Listens to an engine from now on. */
export function recordEvents(engine: ControlEngine): RecordedEvents {
  const events: EngineEvent[] = [];
  const waiters = new Set<() => void>();
  engine.onEvent((event) => {
    events.push(event);
    for (const waiter of waiters) waiter();
  });
  return {
    events,
    until: (predicate: (event: EngineEvent) => boolean) =>
      new Promise<never>((resolve) => {
        const look = (): void => {
          const found = events.find(predicate);
          if (found === undefined) return;
          waiters.delete(look);
          resolve(found as never);
        };
        waiters.add(look);
        look();
      }),
  };
}

/** A bridge on loopback that lets streams go to loopback. */
export function startBridge(
  t: Cleanup,
  lines = '',
  options: Partial<DaemonOptions> = {},
): Promise<TestEngine> {
  return startEngine(
    t,
    `ServerTransportPlugin obfs4 builtin
ServerTransportListenAddr obfs4 127.0.0.1:0
ExitPolicyRejectPrivate 0
ShutdownWaitLength 0
${lines}`,
    options,
  );
}

/** `Bridge` lines for the torrc of a client. */
export function bridgeLinesOf(...bridges: readonly TestEngine[]): string {
  return bridges
    .flatMap(({ engine }) => engine.bridgeLines)
    .map((line) => `Bridge ${formatBridgeLine(line)}\n`)
    .join('');
}

/** A client of these bridges with a SOCKS port and an HTTP tunnel port. */
export function startClient(
  t: Cleanup,
  bridges: readonly TestEngine[],
  lines = '',
  options: Partial<DaemonOptions> = {},
): Promise<TestEngine> {
  return startEngine(
    t,
    `SocksPort auto
HTTPTunnelPort auto
UseBridges 1
ClientTransportPlugin obfs4 builtin
${bridgeLinesOf(...bridges)}${lines}`,
    options,
  );
}

/** Connects to a target through the client's first SOCKS port. The end of the test may break it. */
export async function connectThrough({ engine }: TestEngine, target: Endpoint): Promise<Duplex> {
  const stream = await socksConnect(engine.endpoints.socks[0]!, target);
  return stream.on('error', () => {});
}

/** A bridge without a transport or an engine; each request is the test's to answer. */
export async function startPlainBridge(
  t: Cleanup,
  onRequest: (stream: Duplex, target: Endpoint) => void,
): Promise<{ readonly line: string; readonly close: () => void }> {
  const links = new Set<MuxConnection>();
  const onStream = (stream: Duplex): void => {
    stream.once('data', (chunk: Buffer) => {
      const request = decodeRequest5(chunk);
      assert.ok(request !== NEED_MORE);
      onRequest(stream, request.message);
    });
  };
  const listener = await listen(t, (socket) => {
    links.add(new MuxConnection(socket, { role: 'server', budget: new ByteBudget(1e9), onStream }));
  });
  const close = (): void => {
    for (const link of links) link.close();
    listener.abort();
  };
  t.after(close);
  return { line: `Bridge ${listener.text}\n`, close };
}

/** What a SOCKS5 client is told when its connection fails. */
export async function socksFailure(proxy: Endpoint, target: Endpoint): Promise<number> {
  const stream = await dial(proxy);
  stream.write(encodeGreeting([SocksMethod.none]));
  await readBytes(stream, 2);
  stream.write(encodeRequest5(target));
  const reply = await readBytes(stream, 2);
  stream.destroy();
  return reply[1]!;
}
