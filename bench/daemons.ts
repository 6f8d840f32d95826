/** A client daemon and a bridge daemon on loopback, as processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { connectControl, type ControlClient } from '../src/control/node/client.ts';
import { runExchange } from '../src/net/exchange.ts';
import { createDirectDialer } from '../src/net/direct-dialer.ts';
import { parseIpEndpoint, type Endpoint } from '../src/pt/address.ts';
import { createSocksClient } from '../src/socks/client.ts';
import type { Program } from './programs.ts';

/** Both daemons, running. */
export interface Daemons {
  readonly clientPid: number;
  readonly bridgePid: number;
  /** Of the client daemon. */
  readonly control: ControlClient;
  /** Where that listens, and the file of its cookie. */
  readonly controlPort: { readonly endpoint: Endpoint; readonly cookie: string };
  /** A new stream through both to a target. */
  connect(target: Endpoint): Promise<Duplex>;
  /** Changes the client's torrc. */
  writeTorrc(extraLines: string): void;
  stop(): void;
}

/** Starts both, with obfs4 built in on either side. */
export async function startDaemons(program: Program): Promise<Daemons> {
  const directory = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const bridgeTorrc = join(directory, 'bridge.torrc');
  writeFileSync(
    bridgeTorrc,
    `DataDirectory ${directory}/bridge
SocksPort 0
ServerTransportPlugin obfs4 builtin
ServerTransportListenAddr obfs4 127.0.0.1:0
ExitPolicyRejectPrivate 0
`,
  );
  const bridge = run(program, bridgeTorrc);
  const [, linesFile] = await line(bridge, /what clients need is in (.*)$/);
  const clientTorrc = join(directory, 'client.torrc');
  const writeTorrc = (extraLines: string): void =>
    writeFileSync(
      clientTorrc,
      `DataDirectory ${directory}/client
SocksPort auto
ControlPort auto
CookieAuthentication 1
UseBridges 1
ClientTransportPlugin obfs4 builtin
${readFileSync(linesFile!, 'utf8')}${extraLines}`,
    );
  writeTorrc('');
  const client = run(program, clientTorrc);
  const [, socks] = await line(client, /SocksPort (\S+) is open/);
  const [, controlAddress] = await line(client, /Controllers connect to (\S+)/);
  const controlPort = {
    endpoint: parseIpEndpoint(controlAddress!)!,
    cookie: join(directory, 'client', 'control_auth_cookie'),
  };
  const secret = readFileSync(controlPort.cookie);
  const control = await connectControl(controlPort.endpoint, { secret });
  const dial = createDirectDialer();
  return {
    clientPid: client.child.pid!,
    bridgePid: bridge.child.pid!,
    control,
    controlPort,
    async connect(target) {
      const stream = await dial(parseIpEndpoint(socks!)!);
      await runExchange(stream, createSocksClient({ version: 'socks5', target }));
      return stream;
    },
    writeTorrc,
    stop() {
      client.child.kill('SIGKILL');
      bridge.child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Running {
  readonly child: ChildProcess;
  readonly lines: string[];
  onLine: () => void;
}

function run({ command: [file, ...args] }: Program, torrc: string): Running {
  const child = spawn(file, [...args, 'run', '-f', torrc], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const running: Running = { child, lines: [], onLine: () => {} };
  createInterface(child.stdout).on('line', (text) => {
    running.lines.push(text);
    running.onLine();
  });
  return running;
}

async function line(running: Running, pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const found = running.lines.map((text) => pattern.exec(text)).find((match) => match !== null);
    if (found) return found;
    await new Promise<void>((resolve) => (running.onLine = resolve));
  }
}
