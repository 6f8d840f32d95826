/** PT programs, ours and obfs4proxy, as managed processes that can be paired over loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildRoot } from '../../scripts/paths.ts';
import type { Dialer } from '../../src/net/dialer.ts';
import { createPtDialer } from '../../src/parent/dial.ts';
import { launch } from '../../src/parent/launch.ts';
import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { buildEnvironment } from '../../src/pt/launch-environment.ts';
import { parseSmethodArgs } from '../../src/pt/smethod-args.ts';
import type { UpstreamProxy } from '../../src/pt/upstream-proxy.ts';
import { temporaryDirectory } from './managed.ts';
import { peerProgram } from './peers.ts';

/** A test's context, as far as it is needed here. */
export interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** A PT program. */
export interface PtProgram {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/** This build's own command. */
export const postern: PtProgram = {
  name: 'postern',
  command: [process.execPath, join(buildRoot, 'src', 'cli', 'main.js')],
};

const obfs4proxyPath = peerProgram('obfs4proxy');

/** For `skip` of a test: why it cannot run, or false. */
export const obfs4proxyMissing: string | false =
  obfs4proxyPath === undefined ? 'obfs4proxy is not installed' : false;

/** Debian's. */
export const obfs4proxy: PtProgram = {
  name: 'obfs4proxy',
  command: [obfs4proxyPath ?? 'obfs4proxy'],
};

/** Another that speaks the same, from Debian's unstable suite: its successor. */
export const lyrebird: PtProgram = {
  name: 'lyrebird',
  command: [peerProgram('lyrebird', true) ?? 'lyrebird'],
};

/** For `skip` of a test: why a program cannot be run, or false. */
export function programMissing({ name, command: [file] }: PtProgram): string | false {
  return file === name && `${name} is not installed`;
}

/** A server that runs as a managed process. */
export interface PtServer {
  readonly transport: string;
  readonly pid: number;
  readonly endpoint: Endpoint;
  /** What clients need. */
  readonly args: KeyValues;
  /** Closes its stdin, and resolves when it has ended. */
  readonly stop: () => Promise<void>;
}

/** What a server is started with. */
export interface PtServerOptions {
  readonly transport: string;
  /** Where it forwards to. */
  readonly orPort: Endpoint;
  readonly options?: KeyValues;
  readonly stateLocation?: string;
  readonly bindAddress?: Endpoint;
}

/** Starts a program as the server of one transport, until the test has ended. */
export async function startPtServer(
  t: Cleanup,
  program: PtProgram,
  {
    transport,
    orPort,
    options = [],
    stateLocation = temporaryDirectory(t),
    bindAddress = { host: '127.0.0.1', port: 0 },
  }: PtServerOptions,
): Promise<PtServer> {
  const env = buildEnvironment({
    role: 'server',
    stateLocation,
    orPort,
    transports: [{ name: transport, bindAddress, options }],
  });
  // Not by `launch`: obfs4proxy prints `ARGS:` without a pair for transports that have none, which a
  // parent must refuse [PT-3.3.3-08].
  const [file, ...args] = program.command;
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  t.after(stop);
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    const [keyword, , address, published = ''] = line.split(' ');
    if (keyword !== 'SMETHOD') continue;
    child.stdout.resume();
    const pairs = published.replace(/^ARGS:/, '');
    return {
      transport,
      pid: child.pid!,
      endpoint: parseIpEndpoint(address!)!,
      args: pairs === '' ? [] : parseSmethodArgs(pairs),
      stop,
    };
  }
  throw new Error(`${program.name} ended before its SMETHOD: ${lines.join(' / ')}`);
}

/** A client that runs as a managed process. */
export interface PtClient {
  readonly pid: number;
  /** Connects to one server through it. */
  readonly dialer: (args: KeyValues) => Dialer;
}

/** What a client may be started with. */
export interface PtClientOptions {
  readonly stateLocation?: string | undefined;
  readonly upstreamProxy?: UpstreamProxy;
}

/** Starts a program as the client of one transport, until the test has ended. */
export async function startPtClient(
  t: Cleanup,
  program: PtProgram,
  transport: string,
  { stateLocation = temporaryDirectory(t), ...options }: PtClientOptions = {},
): Promise<PtClient> {
  const child = await launch({
    command: program.command,
    configuration: { role: 'client', stateLocation, transports: [transport], ...options },
    onEvent(event) {
      if (event.type === 'stderr') process.stderr.write(`${program.name}: ${event.line}\n`);
    },
  });
  t.after(async () => void (await child.close()));
  const method = child.methods.get(transport)!;
  return { pid: child.pid, dialer: (args) => createPtDialer(method, args) };
}
