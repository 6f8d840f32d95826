/** The demo's second part: a client daemon and a bridge daemon, as `postern run` has them, and TC. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { torrcFile } from '../../config/node.ts';
import type { ControlEvent } from '../../control/messages.ts';
import { connectControl, type ControlClient } from '../../control/node/client.ts';
import { Daemon } from '../../engine/daemon.ts';
import { runExchange } from '../../net/exchange.ts';
import { createDirectDialer } from '../../net/direct-dialer.ts';
import { type Endpoint, formatEndpoint } from '../../pt/address.ts';
import { formatBridgeLine } from '../../pt/bridge-line.ts';
import { createSocksClient } from '../../socks/client.ts';
import type { CommandContext } from '../context.ts';
import type { Display } from '../display.ts';
import { ownName } from '../own-name.ts';
import { demoServer } from './server.ts';

/** Both daemons, running. */
export interface DemoDaemons extends AsyncDisposable {
  /** Whether the page came through. */
  readonly isPageFetched: boolean;
  /** What the reader can try, as lines. */
  readonly tryNext: readonly string[];
}

/** What the daemons are started with. */
export interface DemoDaemonsOptions {
  /** Where they keep their files. */
  readonly directory: string;
  readonly transport: string;
  /** A web server, which the page is fetched from. */
  readonly service: Endpoint;
}

/** Starts both, configures the client over TC, fetches a page through them and shows what TC tells. */
export async function startDemoDaemons(
  context: CommandContext,
  display: Display,
  options: DemoDaemonsOptions,
): Promise<DemoDaemons> {
  display.line('');
  display.line('Two daemons, as `postern run -f torrc` starts them, and the control port of one:');
  const bridge = await startDaemon(
    context,
    join(options.directory, 'bridge'),
    await bridgeTorrc(options.transport),
  );
  let client: Daemon | undefined;
  const close = async (): Promise<void> => {
    await client?.close();
    await bridge.close();
  };
  try {
    client = await startDaemon(context, join(options.directory, 'client'), [
      'SocksPort auto',
      'ControlPort auto',
      `ClientTransportPlugin ${options.transport} builtin`,
    ]);
    const socks = client.endpoints.socks[0]!;
    const control = client.endpoints.control[0]!;
    const url = `http://localhost:${options.service.port}/`;
    const page = await fetchThrough(display, bridge, { socks, control, url });
    display.line(`  ${page.trim()}`);
    return {
      isPageFetched: page.startsWith('This answer came through'),
      tryNext: [
        'the two daemons, and what the client’s control port tells:',
        '',
        `  ${ownName(context)} ctl --control ${formatEndpoint(control)} events circuit stream`,
        `  curl --socks5-hostname ${formatEndpoint(socks)} ${url}`,
      ],
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function bridgeTorrc(transport: string): Promise<readonly string[]> {
  const { bindAddress, options } = await demoServer(transport);
  const pairs = options.map((pair) => pair.join('=')).join(' ');
  return [
    'SocksPort 0',
    `ServerTransportPlugin ${transport} builtin`,
    `ServerTransportListenAddr ${transport} ${formatEndpoint(bindAddress)}`,
    ...(pairs === '' ? [] : [`ServerTransportOptions ${transport} ${pairs}`]),
    // The page is on this machine; a bridge leads to no private address unless it is told to.
    'ExitPolicyRejectPrivate 0',
    'ShutdownWaitLength 0',
  ];
}

/** Gives the client its bridge over TC, and fetches the page through both. */
async function fetchThrough(
  display: Display,
  bridge: Daemon,
  client: { readonly socks: Endpoint; readonly control: Endpoint; readonly url: string },
): Promise<string> {
  const control = await connectControl(client.control);
  await control.setEvents(['circuit', 'stream', 'orConnection']);
  display.line('  TC: SETCONF UseBridges 1, Bridge …');
  await control.setConf([
    { key: 'UseBridges', value: '1' },
    { key: 'Bridge', value: formatBridgeLine(bridge.bridgeLines[0]!) },
  ]);
  const shown = showEvents(control, display);
  const page = await fetchPage(display, client.socks, client.url);
  await shown;
  await control.close();
  return page;
}

async function startDaemon(
  { env, ownCommand }: CommandContext,
  directory: string,
  lines: readonly string[],
): Promise<Daemon> {
  await mkdir(directory, { mode: 0o700 });
  const path = join(directory, 'torrc');
  await writeFile(path, [`DataDirectory ${directory}`, ...lines, ''].join('\n'));
  // What they have to say is said by their events.
  const nowhere = new PassThrough().resume();
  return Daemon.start({
    torrc: torrcFile(path),
    home: homedir(),
    env,
    ownCommand,
    stdout: nowhere,
    stderr: nowhere,
  });
}

/** Shows events until the first stream has ended. */
async function showEvents(control: ControlClient, display: Display): Promise<void> {
  for await (const event of control.events()) {
    display.line(`  TC: ${describe(event)}`);
    if (event.type === 'stream' && (event.status === 'closed' || event.status === 'failed')) return;
  }
}

function describe(event: ControlEvent): string {
  switch (event.type) {
    case 'circuit':
      return `circuit ${event.id} ${event.status} ${event.path.map(shorten).join(', ')}`.trimEnd();
    case 'stream':
      return `stream ${event.id} ${event.status} ${event.target}`;
    case 'orConnection':
      return `link to ${shorten(event.name)} ${event.status}`;
    default:
      return event.type;
  }
}

function shorten(name: string): string {
  return `${name.slice(0, 8)}…`;
}

/** With curl, as a user would; by hand where there is none. */
async function fetchPage(display: Display, socks: Endpoint, url: string): Promise<string> {
  const args = ['-sS', '--socks5-hostname', formatEndpoint(socks), url];
  display.line(`  curl ${args.slice(1).join(' ')}`);
  try {
    return (await promisify(execFile)('curl', args)).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const { hostname, port, host, pathname } = new URL(url);
  const stream = await createDirectDialer()(socks);
  const target = { host: hostname, port: Number(port) };
  await runExchange(stream, createSocksClient({ version: 'socks5', target }));
  stream.end(`GET ${pathname} HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
  let answer = '';
  stream.setEncoding('utf8').on('data', (text: string) => (answer += text));
  await once(stream, 'end');
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}
