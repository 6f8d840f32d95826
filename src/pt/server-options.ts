/**
 * `TOR_PT_SERVER_TRANSPORT_OPTIONS` (PT 3.2.3).
 *
 *     options = [ item *( ";" item ) ]        item = transport ":" key "=" value
 *
 *     scramblesuit:key=banana;automata:rule=110;automata:depth=3
 *
 * `:`, `;` and `\` inside keys and values are written with a backslash. `=` is not, so that an option's
 * key cannot contain it; goptlib's `\=` is understood all the same.
 *
 * The values may be secret (obfs4's `private-key`): no error quotes them.
 */
import { PosternError } from '../errors.ts';
import { addEscapes, parsePair, splitAtFirst, splitUnescaped } from './escaping.ts';
import type { KeyValues } from './key-value.ts';
import { isTransportName } from './names.ts';

/** The options of each transport, by its name. */
export type ServerOptions = ReadonlyMap<string, KeyValues>;

/**
 * The options of each transport. Items of one transport accumulate in order; an empty text holds none.
 *
 * @throws PosternError `ERR_PT_SERVER_OPTIONS` for an item without `:` or `=`, an ill-formed transport
 *   name, an empty key, an unescaped `:` in the option, or a lone backslash at the end
 */
export function parseServerOptions(text: string): ServerOptions {
  const options = new Map<string, (readonly [string, string])[]>();
  if (text === '') return options;
  for (const [index, item] of splitUnescaped(text, ';').entries()) {
    const [name, option] = splitAtFirst(item, ':');
    if (option === undefined) throw fault(`item ${index + 1} has no ':'`);
    if (!isTransportName(name)) throw fault(`item ${index + 1} has no valid transport name`);
    if (splitAtFirst(option, ':')[1] !== undefined) {
      throw fault(`item ${index + 1} has an unescaped ':' in its option`);
    }
    const pair = parsePair(option);
    if (typeof pair === 'string') throw fault(`item ${index + 1} ${pair}`);
    const earlier = options.get(name);
    if (earlier === undefined) options.set(name, [pair]);
    else earlier.push(pair);
  }
  return options;
}

/**
 * The inverse of `parseServerOptions`; empty when no transport has options.
 *
 * @throws PosternError `ERR_PT_SERVER_OPTIONS` for what the grammar or an environment variable cannot
 *   carry: an ill-formed transport name, an empty key or one with `=`, a NUL
 */
export function formatServerOptions(options: ServerOptions): string {
  return [...options]
    .flatMap(([name, pairs]) => {
      if (!isTransportName(name)) throw fault('options are given for an ill-formed transport name');
      return pairs.map(([key, value]) => formatItem(name, key, value));
    })
    .join(';');
}

function formatItem(name: string, key: string, value: string): string {
  if (key === '') throw fault(`an option of ${name} has an empty key`);
  if (key.includes('=')) throw fault(`an option key of ${name} contains '='`);
  if (key.includes('\0') || value.includes('\0')) throw fault(`an option of ${name} contains NUL`);
  return `${name}:${addEscapes(key, /[:;\\]/g)}=${addEscapes(value, /[:;\\]/g)}`;
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_SERVER_OPTIONS', message);
}
