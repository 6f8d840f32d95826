/** `postern dashboard`: a running daemon in the browser, over its control port. */
import { type OptionRow, optionTable } from '../../config/options.ts';
import { type ConfEntry, ControlRefusal } from '../../control/messages.ts';
import type { ControlClient } from '../../control/node/client.ts';
import { randomBytes, systemRng } from '../../crypto/rng.ts';
import type { Listener } from '../../net/listener.ts';
import { formatEndpoint, isLoopback } from '../../pt/address.ts';
import { Follower } from '../../view/node.ts';
import { parseListenAddress } from '../arguments.ts';
import { connectToDaemon } from '../connect-control.ts';
import type { ControlPlaceOptions } from '../control-place.ts';
import { type CommandContext, ExitCode, say } from '../context.ts';
import { reportError, UsageError } from '../report-error.ts';
import { readAssets } from './assets.ts';
import { PageEvents } from './events.ts';
import { serveDashboard } from './server.ts';

/** The options of `postern dashboard`. */
export interface DashboardVerbOptions extends ControlPlaceOptions {
  readonly listen: string;
}

export async function run(context: CommandContext, options: DashboardVerbOptions): Promise<number> {
  const endpoint = parseListenAddress('--listen', options.listen);
  if (!isLoopback(endpoint.host)) {
    throw new UsageError('--listen takes an address of this machine’s own, like 127.0.0.1:8080');
  }
  const signal = context.stop.drain;
  const daemon = await connectToDaemon(context, options, signal);
  if (typeof daemon === 'number') return daemon;
  const { client, place } = daemon;
  const follower: Follower = new Follower({ client, signal, onChange: () => events.tell() });
  const events = new PageEvents(follower, place);
  const token = randomBytes(systemRng, 16).toString('hex');
  let listener: Listener;
  try {
    listener = await serveDashboard({
      endpoint,
      token,
      assets: await readAssets(),
      onEvents: (response) => events.add(response),
      configuration: () => readConfiguration(client, signal),
    });
  } catch (error) {
    await client.close();
    return reportError(context, error, `no dashboard on ${options.listen}`);
  }
  context.stdout.write(`http://${formatEndpoint(listener.endpoint)}/${token}/\n`);
  say(
    context,
    'Open this address in a browser of this machine; anyone who has it sees what you see.',
  );
  await follower.run();
  events.close();
  listener.abort();
  return ExitCode.ok;
}

/** All that there is, or what a Tor knows of it. */
async function readConfiguration(
  client: ControlClient,
  signal: AbortSignal,
): Promise<readonly ConfEntry[]> {
  const options = Object.entries<OptionRow>(optionTable);
  const keys = options.map(([key]) => key);
  const entries = await client.getConf(keys, { signal }).catch((error: unknown) => {
    if (!(error instanceof ControlRefusal)) throw error;
    return eachOf(client, keys, signal);
  });
  return options.flatMap(([key, { isSecret }]) => {
    const found = entries.filter((entry) => entry.key === key);
    if (found.length === 0) return [{ key, value: '' }];
    return found.map(({ value }) => ({ key, value: isSecret ? '(secret)' : value }));
  });
}

/** One after another: a Tor refuses the whole request if one option is unknown. */
async function eachOf(
  client: ControlClient,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<readonly ConfEntry[]> {
  const answers = await Promise.allSettled(keys.map((key) => client.getConf([key], { signal })));
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
}
