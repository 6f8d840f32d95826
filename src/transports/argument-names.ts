/** Which arguments and options a transport knows: without this, a mistyped one would be ignored in silence. */
import { PosternError } from '../errors.ts';
import type { KeyValues } from '../pt/key-value.ts';
import type { ServerContext, Transport, TransportServer } from './contract.ts';

/** The names that a transport does not know; none where it does not tell which ones it knows. */
function unknownNames(
  { argumentNames }: Transport,
  end: 'client' | 'server',
  given: KeyValues,
): readonly string[] {
  if (argumentNames === undefined) return [];
  const known = new Set(argumentNames[end]);
  return [...new Set(given.map(([name]) => name))].filter((name) => !known.has(name));
}

/**
 * Refuses options that the operator wrote and that the transport does not know.
 *
 * @throws PosternError `ERR_TRANSPORT_OPTION`
 */
export function checkServerOptions(transport: Transport, options: KeyValues): void {
  const [unknown] = unknownNames(transport, 'server', options);
  if (unknown === undefined) return;
  const known = transport.argumentNames!.server.map((name) => `\`${name}\``).join(', ');
  throw new PosternError(
    'ERR_TRANSPORT_OPTION',
    `${transport.name}: there is no option \`${shorten(unknown)}\`; there ${known === '' ? 'are none' : `are ${known}`}`,
  );
}

/**
 * Calls a transport's `server`. Its error about an argument becomes one about the operator's option: here the
 * advice to copy the bridge line again would be wrong.
 *
 * @throws PosternError `ERR_TRANSPORT_OPTION`, and what `server` throws of the state
 */
export async function openServer(
  transport: Transport,
  options: KeyValues,
  context: ServerContext,
): Promise<TransportServer> {
  try {
    return await transport.server(options, context);
  } catch (error) {
    if (!(error instanceof PosternError) || error.code !== 'ERR_TRANSPORT_ARGUMENT') throw error;
    throw new PosternError('ERR_TRANSPORT_OPTION', error.message, { cause: error.cause });
  }
}

/**
 * A warning about names that others wrote: arguments in a bridge line, and options that a parent hands on.
 * Undefined when there is nothing to warn of.
 */
export function warningOfUnknown(
  transport: Transport,
  end: 'client' | 'server',
  given: KeyValues,
): string | undefined {
  const unknown = unknownNames(transport, end, given).map((name) => `\`${shorten(name)}\``);
  if (unknown.length === 0) return undefined;
  return `${transport.name} does not know ${unknown.slice(0, 8).join(', ')} in ${end === 'client' ? 'the bridge line' : 'its options'}, and goes without`;
}

function shorten(name: string): string {
  return name.length > 40 ? `${name.slice(0, 40)}…` : name;
}
