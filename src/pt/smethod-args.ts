/**
 * The pairs of `ARGS:` in an SMETHOD line (PT 3.3.3): what clients need to use this server.
 *
 *     args = [ pair *( "," pair ) ]      pair = key "=" value
 *
 *     cert=HszPy3vWfjsESCEOo9ZBkRv6zQ/1mGHzc8arF0y2SpwFr3WhsMu8rK0zyaoyERfbz3ddFw,iat-mode=0
 *
 * `=`, `,` and `\` inside keys and values are written with a backslash.
 */
import { PosternError } from '../errors.ts';
import { addEscapes, parsePair, splitUnescaped } from './escaping.ts';
import type { KeyValues } from './key-value.ts';

/**
 * The pairs, in order. The text is what follows `ARGS:`; empty, as obfs4proxy announces obfs2 and obfs3,
 * it holds none [PT-3.3.3-08].
 *
 * @throws PosternError `ERR_PT_SMETHOD_ARGS` for a pair without `=`, an empty key or a
 *   lone backslash at the end
 */
export function parseSmethodArgs(text: string): KeyValues {
  if (text === '') return [];
  return splitUnescaped(text, ',').map((piece, index) => {
    const pair = parsePair(piece);
    if (typeof pair === 'string') throw fault(`pair ${index + 1} ${pair}`);
    return pair;
  });
}

/**
 * The inverse of `parseSmethodArgs`.
 *
 * @throws PosternError `ERR_PT_SMETHOD_ARGS` for no pair at all, an empty key, and what the line cannot
 *   carry: spaces, control characters, non-ASCII
 */
export function formatSmethodArgs(args: KeyValues): string {
  if (args.length === 0) throw fault('there is no pair to publish');
  return args
    .map(([key, value], index) => {
      if (key === '') throw fault(`pair ${index + 1} has an empty key`);
      // A space would end the option; tor copies the rest unescaped into its extra-info document.
      if (!/^[\x21-\x7e]*$/.test(key + value)) {
        throw fault(`pair ${index + 1} is not printable ASCII without spaces`);
      }
      return `${addEscapes(key, /[=,\\]/g)}=${addEscapes(value, /[=,\\]/g)}`;
    })
    .join(',');
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_SMETHOD_ARGS', message);
}
