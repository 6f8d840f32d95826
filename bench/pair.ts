/** A client and a server of one PT program, as two managed proxies on loopback. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { createPtDialer } from '../src/parent/dial.ts';
import { parseIpEndpoint, type Endpoint } from '../src/pt/address.ts';
import { parseLine } from '../src/pt/decode.ts';
import { buildEnvironment, type LaunchConfiguration } from '../src/pt/launch-environment.ts';
import type { KeyValues } from '../src/pt/key-value.ts';
import { parseSmethodArgs } from '../src/pt/smethod-args.ts';
import type { Program } from './programs.ts';

/** What pairs may differ in. */
export interface PairOptions {
  /** The server's program, where it is not the client's. */
  readonly serverProgram?: Program;
  readonly bindAddress?: Endpoint;
  /** The server's own. */
  readonly options?: KeyValues;
}

/** A pair that runs. */
export interface Pair {
  readonly program: Program;
  readonly clientPid: number;
  readonly serverPid: number;
  /** What a client needs that comes without the other process. */
  readonly server: { readonly endpoint: Endpoint; readonly args: KeyValues };
  /** A new connection through both, to what the server forwards to. */
  connect(): Promise<Duplex>;
  stop(): void;
}

/** Starts both processes of a pair. */
export async function startPair(
  program: Program,
  transport: string,
  forwardTo: Endpoint,
  {
    serverProgram = program,
    bindAddress = { host: '127.0.0.1', port: 0 },
    options = [],
  }: PairOptions = {},
): Promise<Pair> {
  const state = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const server = launch(serverProgram, {
    role: 'server',
    stateLocation: join(state, 'server'),
    transports: [{ name: transport, bindAddress, options }],
    orPort: forwardTo,
  });
  // Not by `parseLine`: obfs4proxy prints an `ARGS:` without arguments for obfs3.
  const smethod = await firstLine(server, 'SMETHOD ');
  const [, , address, published] = smethod.split(' ');
  const client = launchClient(program, transport, state);
  const cmethod = parseLine(await firstLine(client, 'CMETHOD '));
  if (cmethod.kind !== 'CMETHOD') throw new Error(`${program.name} gave no CMETHOD`);
  const args = published?.replace(/^ARGS:/, '') ?? '';
  const serverArgs = args === '' ? [] : parseSmethodArgs(args);
  const dial = createPtDialer(cmethod, serverArgs);
  const target = parseIpEndpoint(address!)!;
  return {
    program,
    clientPid: client.pid!,
    serverPid: server.pid!,
    server: { endpoint: target, args: serverArgs },
    connect: () => dial(target),
    stop() {
      client.kill('SIGKILL');
      server.kill('SIGKILL');
      rmSync(state, { recursive: true, force: true });
    },
  };
}

/** Starts a client alone, and waits until it serves. */
export async function startClient(
  program: Program,
  transport: string,
): Promise<{ readonly pid: number; readonly stop: () => void }> {
  const state = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const client = launchClient(program, transport, state);
  await firstLine(client, 'CMETHODS DONE');
  return {
    pid: client.pid!,
    stop() {
      client.kill('SIGKILL');
      rmSync(state, { recursive: true, force: true });
    },
  };
}

function launchClient(program: Program, transport: string, state: string): ChildProcess {
  return launch(program, {
    role: 'client',
    stateLocation: join(state, 'client'),
    transports: [transport],
    outboundBind: {},
  });
}

function launch(
  { command: [file, ...args], version }: Program,
  configuration: LaunchConfiguration,
): ChildProcess {
  const env = buildEnvironment(configuration);
  // Others log there: webtunnel's programs several lines for each connection.
  const stderr = version === undefined ? 'inherit' : 'ignore';
  return spawn(file, args, { env, stdio: ['pipe', 'pipe', stderr] });
}

async function firstLine(child: ChildProcess, start: string): Promise<string> {
  const seen: string[] = [];
  for await (const line of createInterface(child.stdout!)) {
    seen.push(line);
    if (line.startsWith(start)) {
      child.stdout!.resume();
      return line;
    }
  }
  throw new Error(`the program ended without ${start}: ${seen.join(' / ')}`);
}
