/** `postern ctl`: asks a running daemon something over its control port. */
import { formatSetting } from '../../config/torrc.ts';
import { ControlRefusal, type EventKind, type Signal } from '../../control/messages.ts';
import { connectControl, type ControlClient } from '../../control/node/client.ts';
import type { ControlAddress } from '../../control/node/dial.ts';
import { PosternError } from '../../errors.ts';
import { parseMappedAddress } from '../arguments.ts';
import { type CommandContext, ExitCode, say } from '../context.ts';
import { type ControlPlaceOptions, findControl } from '../control-place.ts';
import { readStatus } from './status.ts';
import { createCtlOutput, type CtlOutput } from './output.ts';
import { reportError, UsageError } from '../report-error.ts';

/** The options of `postern ctl`, for all its verbs. */
export interface CtlOptions extends ControlPlaceOptions {
  readonly json?: true;
}

/** A verb of `postern ctl` with its arguments, as they were typed. */
export type CtlRequest =
  | { readonly verb: 'getconf'; readonly keys: readonly string[] }
  | { readonly verb: 'setconf'; readonly settings: readonly string[] }
  | { readonly verb: 'events'; readonly kinds: readonly string[] }
  | { readonly verb: 'status' }
  | { readonly verb: 'saveconf' }
  | { readonly verb: 'signal'; readonly name: string }
  | { readonly verb: 'mapaddress'; readonly from: string; readonly to: string }
  | { readonly verb: 'mappings' };

/** What a request asks a connected client; parsed before anything is connected. */
type Action = (client: ControlClient, output: CtlOutput, signal: AbortSignal) => Promise<void>;

export async function run(
  context: CommandContext,
  options: CtlOptions,
  request: CtlRequest,
): Promise<number> {
  const act = parseRequest(request);
  const { address, secret, whenRefused } = await findControl(context, options);
  const output = createCtlOutput(context, options.json === true);
  // The reader of our output may go away, as `head` does: then there is nothing left to do.
  const signal = AbortSignal.any([context.stop.drain, output.closed]);
  let client: ControlClient | undefined;
  try {
    client = await connectControl(address, { signal, ...(secret !== undefined && { secret }) });
    await act(client, output, signal);
    return ExitCode.ok;
  } catch (error) {
    if (signal.aborted) return ExitCode.ok;
    if (error instanceof ControlRefusal) {
      // The daemon's own text says what to do.
      say(context, `postern: the daemon refuses: ${error.message} (${error.code})`);
      if (client === undefined) say(context, `  What to do: ${whenRefused}`);
      return ExitCode.failed;
    }
    return reportError(context, error, describe(address, client));
  } finally {
    await client?.close();
  }
}

function describe(address: ControlAddress, client: ControlClient | undefined): string | undefined {
  if (client !== undefined) return undefined;
  const place = 'host' in address ? `port ${address.port} of ${address.host}` : address.socketPath;
  return `cannot control the daemon at ${place}`;
}

function parseRequest(request: CtlRequest): Action {
  switch (request.verb) {
    case 'getconf':
      return async (client, output, signal) => {
        output.entries(request.keys, await client.getConf(request.keys, { signal }));
      };
    case 'setconf': {
      const settings = request.settings.map(parseSetting);
      return (client, _, signal) => client.setConf(settings, { signal });
    }
    case 'events': {
      const kinds = parseKinds(request.kinds);
      return async (client, output, signal) => {
        await client.setEvents([...new Set([...kinds, ...reasonKinds(kinds)])], { signal });
        const reasons = new Map<number, string>();
        for await (const event of client.events({ signal })) {
          const [, id, reason] = event.type === 'log' ? (FAILURE.exec(event.message) ?? []) : [];
          if (reason !== undefined) rememberReason(reasons, Number(id), reason);
          if (event.type === 'log' && !kinds.includes('log')) continue;
          output.event(event, event.type === 'stream' ? reasons.get(event.id) : undefined);
        }
      };
    }
    case 'status':
      return async (client, output, signal) => output.status(await readStatus(client, signal));
    case 'saveconf':
      return (client, _, signal) => client.saveConf({ signal });
    case 'signal': {
      const name = parseSignal(request.name);
      return (client, _, signal) => client.sendSignal(name, { signal });
    }
    case 'mapaddress': {
      const from = parseMappedAddress(request.from);
      const to = parseMappedAddress(request.to);
      return async (client, output, signal) => {
        output.mappings([await client.mapAddress(from, to, { signal })]);
      };
    }
    case 'mappings':
      return async (client, output, signal) => {
        output.mappings(await client.mappings({ signal }));
      };
  }
}

/** `KEY`, `KEY=` and `KEY=VALUE`: the first `=` ends the key. */
function parseSetting(text: string): { key: string; value: string } {
  const equals = text.indexOf('=');
  const key = equals === -1 ? text : text.slice(0, equals);
  const value = equals === -1 ? '' : text.slice(equals + 1);
  const usage = new UsageError('setconf takes KEY or KEY=VALUE, on one line, like SocksPort=9050');
  // Whoever pastes several lines means several settings.
  if (value.includes('\n')) throw usage;
  try {
    formatSetting({ key, value });
  } catch (error) {
    throw error instanceof PosternError ? usage : error;
  }
  return { key, value };
}

/** A stream's event cannot say why it failed; the daemon's log says it right before. */
function reasonKinds(kinds: readonly EventKind[]): readonly EventKind[] {
  return kinds.includes('stream') ? ['log'] : [];
}

const FAILURE = /^stream ([0-9]+) failed: (.*)$/s;

/** No more than the last few: the event comes right behind. */
function rememberReason(reasons: Map<number, string>, id: number, reason: string): void {
  reasons.set(id, reason);
  const [oldest] = reasons.keys();
  if (reasons.size > MAX_REASONS) reasons.delete(oldest!);
}

const MAX_REASONS = 16;

const kindNames: Readonly<Record<string, EventKind>> = {
  circuit: 'circuit',
  stream: 'stream',
  'or-connection': 'orConnection',
  bandwidth: 'bandwidth',
  log: 'log',
};

function parseKinds(names: readonly string[]): readonly EventKind[] {
  const chosen = names.length === 0 ? Object.keys(kindNames) : names;
  return chosen.map((name) => {
    const kind = new Map(Object.entries(kindNames)).get(name.toLowerCase());
    if (kind !== undefined) return kind;
    throw new UsageError(`events are of the kinds ${Object.keys(kindNames).join(', ')}`);
  });
}

/** Under their own names, and under those of the signals that do the same to the process. */
const signalNames: ReadonlyMap<string, Signal> = new Map([
  ['reload', 'reload'],
  ['hup', 'reload'],
  ['shutdown', 'shutdown'],
  ['int', 'shutdown'],
  ['dump', 'dump'],
  ['usr1', 'dump'],
  ['debug', 'debug'],
  ['usr2', 'debug'],
  ['halt', 'halt'],
  ['term', 'halt'],
]);

function parseSignal(name: string): Signal {
  const signal = signalNames.get(name.toLowerCase().replace(/^sig/, ''));
  if (signal !== undefined) return signal;
  throw new UsageError(`a signal is one of ${[...signalNames.keys()].join(', ')}`);
}
