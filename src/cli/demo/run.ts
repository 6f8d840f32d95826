/** `postern demo`: a bridge, a client and their parent on this machine, and a verified transfer. */
import type { Dialer } from '../../net/dialer.ts';
import { createPtDialer } from '../../parent/dial.ts';
import type { Child, MethodOf } from '../../parent/launch.ts';
import { startTransports } from '../../parent/start.ts';
import type { Supervisor } from '../../parent/supervise.ts';
import { formatBridgeLine } from '../../pt/bridge-line.ts';
import { buildEnvironment, type LaunchConfiguration } from '../../pt/launch-environment.ts';
import { type CommandContext, ExitCode, say } from '../context.ts';
import { startDemoDaemons } from './daemons.ts';
import { serveLive } from './live.ts';
import { startDemoService } from './service.ts';
import { download, type TransferResult, upload } from './transfer.ts';
import { createDisplay, type Display, formatBar, formatMegabytes } from '../display.ts';
import { UsageError } from '../report-error.ts';
import { makeTemporaryDirectory } from '../../state/temporary-directory.ts';
import { demoServer } from './server.ts';

/** The options of `postern demo`. */
export interface DemoOptions {
  readonly once?: true;
  readonly mb: string;
  readonly transport: string;
}

export async function run(context: CommandContext, options: DemoOptions): Promise<number> {
  const bytes = parseMegabytes(options.mb) * 1e6;
  try {
    return await show(context, options, bytes);
  } catch (error) {
    if (!context.stop.drain.aborted) throw error;
    say(context, 'Stopped before the transfer was through.');
    // With --once the transfer is all that was asked for: stopped before its end, it failed.
    return options.once ? ExitCode.failed : ExitCode.ok;
  }
}

async function show(
  context: CommandContext,
  { transport, once }: DemoOptions,
  bytes: number,
): Promise<number> {
  const display = createDisplay(context.stdout);
  const stop = context.stop.drain;
  display.line(
    'A bridge and a client, each a process of its own, and this process as their parent.',
  );
  display.line('');

  // Disposed of from the last to the first, however this ends.
  await using state = await makeTemporaryDirectory('postern-demo-');
  await using service = await startDemoService();
  await using bridgeProgram = await startChild('bridge', context, display, {
    role: 'server',
    stateLocation: state.path,
    transports: [{ name: transport, ...(await demoServer(transport)) }],
    orPort: service.endpoint,
  });
  const bridge = await bridgeProgram.child();
  const published = bridge.methods.get(transport)!;
  await using clientProgram = await startChild('client', context, display, {
    role: 'client',
    stateLocation: state.path,
    transports: [transport],
    outboundBind: {},
  });
  const client = await clientProgram.child();
  const dialPt = createPtDialer(client.methods.get(transport)!, published.args);
  const dial: Dialer = (_target, given) => dialPt(published.endpoint, given);

  display.line('');
  display.line(`${formatMegabytes(bytes)} each way, compared by SHA-256:`);
  const isIntact =
    (await carry('up', upload, dial, display, bytes, stop)) &&
    (await carry('down', download, dial, display, bytes, stop));
  if (!isIntact) return ExitCode.failed;
  await using daemons = await startDemoDaemons(context, display, {
    directory: state.path,
    transport,
    service: service.endpoint,
  });
  if (!daemons.isPageFetched) return ExitCode.failed;
  if (once) return ExitCode.ok;
  const bridgeLine = formatBridgeLine({ ...published, transport });
  // Awaited, or everything would be disposed of while it runs.
  return await serveLive(context, display, {
    dial,
    bridgeLine,
    children: [bridge, client],
    tryNext: daemons.tryNext,
  });
}

function parseMegabytes(text: string): number {
  const megabytes = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (megabytes < 1) throw new UsageError('--mb takes a whole number of 1..999999');
  return megabytes;
}

/** Launches this very program as a managed proxy, and shows what is said between it and us. */
function startChild<L extends LaunchConfiguration>(
  name: string,
  { env, stop, ownCommand }: CommandContext,
  display: Display,
  configuration: L,
): Promise<Supervisor<Child<MethodOf<L>>>> {
  for (const [key, value] of Object.entries(buildEnvironment(configuration))) {
    display.line(`parent -> ${name}   ${key}=${value}`);
  }
  return startTransports({
    command: ownCommand,
    configuration,
    env,
    signal: stop.drain,
    onEvent(event) {
      if (event.type === 'line') display.line(`${name} -> parent   ${event.line}`);
      if (event.type === 'stderr') display.line(`${name} on stderr  ${event.line}`);
    },
  });
}

/** One direction, with its progress and its verdict. */
async function carry(
  name: string,
  transfer: typeof upload,
  dial: Dialer,
  display: Display,
  bytes: number,
  signal: AbortSignal,
): Promise<boolean> {
  // The bridge decides where a connection goes, and it goes to the service.
  const stream = await dial(ANYWHERE, { signal });
  let shownAtMs = 0;
  const result = await transfer(stream, {
    bytes,
    signal,
    onProgress(done) {
      const nowMs = performance.now();
      if (nowMs - shownAtMs < PROGRESS_MS) return;
      shownAtMs = nowMs;
      display.status(`  ${name.padEnd(5)}${formatBar(done, bytes)}  ${formatMegabytes(done)}`);
    },
  });
  display.line(`  ${name.padEnd(5)}${describe(result)}`);
  return result.intact;
}

function describe({ bytes, seconds, intact }: TransferResult): string {
  const rate = `${formatMegabytes(bytes)} in ${seconds.toFixed(2)} s, ${formatMegabytes(bytes / seconds)}/s`;
  return intact ? `${rate}, intact` : `${rate}, NOT INTACT: what arrived is not what was sent`;
}

const ANYWHERE = { host: '127.0.0.1', port: 1 };
const PROGRESS_MS = 100;
