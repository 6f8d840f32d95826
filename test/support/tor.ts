/** Debian's tor over loopback, which runs us as its pluggable transport. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { formatEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { temporaryDirectory } from './managed.ts';
import { postern } from './pt-programs.ts';
import { closedPort, listen } from './sockets.ts';
import { TorProcess } from './tor-process.ts';

export { torMissing } from './tor-process.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** What our proxy is run with under tor. */
export const torTransports = ['obfs3', 'obfs4'] as const;

/** A tor that belongs to no network, until the test has ended. */
export class Tor extends TorProcess {
  constructor(t: Cleanup, torrc: readonly string[]) {
    super('tor', join(temporaryDirectory(t), 'data'), [
      // No authority of the real network may ever be asked: this one is a closed port of our own.
      `DirAuthority none orport=1 v3ident=${'0'.repeat(39)}1 127.0.0.1:1 ${'0'.repeat(39)}2`,
      'UseDefaultFallbackDirs 0',
      ...torrc,
    ]);
    t.after(() => this.kill());
  }

  /** What tor holds against its pluggable transports. */
  get complaints(): readonly string[] {
    return this.log.filter(
      (line) =>
        /\[(?:warn|err)\].*(?:proxy|proxies|transport|plugin)/i.test(line) ||
        /unknown line|malformed|invalid severity/i.test(line),
    );
  }
}

/** A tor that is cut off from every network, and has a control port. */
export async function startControlledTor(
  t: Cleanup,
  ...torrc: readonly string[]
): Promise<{ readonly tor: Tor; readonly port: number }> {
  const tor = new Tor(t, [
    'DisableNetwork 1',
    'SocksPort 0',
    'Log notice stdout',
    ...(torrc.some((line) => line.startsWith('ControlPort ')) ? [] : ['ControlPort auto']),
    ...torrc,
  ]);
  const [, port] = await tor.line(/Opened Control listener.* 127\.0\.0\.1:(\d+)/);
  return { tor, port: Number(port) };
}

/** A process of ours that some tor started. */
export interface PluginProcess {
  readonly pid: number;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

/**
 * What stands behind `ClientTransportPlugin obfs4` or `ServerTransportPlugin obfs4`, and the process that
 * tor makes of it. The shell that becomes it opens a connection to us, inherited and never touched by
 * the program, whose end is therefore the end of the process.
 */
export async function createPlugin(
  t: Cleanup,
): Promise<{ readonly exec: string; readonly started: Promise<PluginProcess> }> {
  let onStart!: (process: PluginProcess) => void;
  const started = new Promise<PluginProcess>((resolve) => (onStart = resolve));
  const { endpoint } = await listen(t, (socket) => {
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.once('data', (pid: Buffer) => onStart({ pid: Number(String(pid)), gone }));
    socket.on('end', () => socket.destroy());
  });
  const script = join(temporaryDirectory(t), 'plugin');
  const command = postern.command.map((word) => `'${word}'`).join(' ');
  writeFileSync(
    script,
    [
      '#!/usr/bin/env bash',
      `exec 9<>/dev/tcp/${endpoint.host}/${endpoint.port}`,
      'echo $$ >&9',
      `exec ${command} "$@"`,
      '',
    ].join('\n'),
    { mode: 0o700 },
  );
  return { exec: `exec ${script}`, started };
}

/** What a tor is told that is to be a bridge, known to nobody, before its transports. */
export const lonelyBridge: readonly string[] = [
  'BridgeRelay 1',
  'ORPort 127.0.0.1:auto IPv4Only',
  'ExtORPort auto',
  'Address 127.0.0.1',
  'AssumeReachable 1',
  'PublishServerDescriptor 0',
  'ExitRelay 0',
  'SocksPort 0',
];

/** Makes a torrc of a bridge with our transports and the Extended ORPort. */
export async function bridgeTorrc(exec: string): Promise<{
  readonly torrc: readonly string[];
  readonly addresses: Readonly<Record<(typeof torTransports)[number], Endpoint>>;
}> {
  // tor takes no port 0 here, and without the line it would listen on every interface.
  const addresses = { obfs3: await closedPort(), obfs4: await closedPort() };
  const torrc = [
    ...lonelyBridge,
    `ServerTransportPlugin ${torTransports.join(',')} ${exec}`,
    ...torTransports.map(
      (name) => `ServerTransportListenAddr ${name} ${formatEndpoint(addresses[name])}`,
    ),
  ];
  return { torrc, addresses };
}

/** The `Bridge` lines of a bridge that runs, once it has registered its transports. */
export async function bridgeLines(
  bridge: TorProcess,
  addresses: Readonly<Record<(typeof torTransports)[number], Endpoint>>,
  signal?: AbortSignal,
): Promise<Readonly<Record<(typeof torTransports)[number], string>>> {
  const [, args] = await bridge.line(/SMETHOD obfs4 \S+ ARGS:([^)]*)/, { signal });
  for (const name of torTransports) {
    await bridge.line(new RegExp(`Registered server transport '${name}'`), { signal });
  }
  const fingerprint = readFileSync(join(bridge.dataDirectory, 'fingerprint'), 'latin1')
    .trim()
    .split(' ')[1]!;
  const line = (name: (typeof torTransports)[number]): string =>
    `Bridge ${name} ${formatEndpoint(addresses[name])} ${fingerprint}`;
  return { obfs3: line('obfs3'), obfs4: `${line('obfs4')} ${args!.replaceAll(',', ' ')}` };
}

/** Opens a connection that stays without a handshake, and says when it is accepted. */
export async function openIdle(t: Cleanup, endpoint: Endpoint): Promise<Socket> {
  const socket = connect(endpoint);
  socket.on('error', () => {});
  t.after(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}
