import { realpathSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import type { CommandContext } from './context.ts';

/**
 * What this program is called in a shell, in the directory where it was started: `postern` where that finds it,
 * else Node and the way to the file.
 */
export function ownName({ env, ownCommand }: Pick<CommandContext, 'env' | 'ownCommand'>): string {
  const [node, ...file] = ownCommand;
  const path = file.at(-1);
  if (path === undefined) return quote(node);
  const own = realPath(path);
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  // The first that a shell would find.
  const found = folders
    .map((folder) => realPath(join(folder, 'postern')))
    .find((real) => real !== undefined);
  if (found !== undefined && found === own) return 'postern';
  const isUsualNode =
    folders.map((folder) => realPath(join(folder, 'node'))).find((real) => real !== undefined) ===
    realPath(node);
  const near = relative('', path);
  const shown = near === '' || near.startsWith('..') ? path : near;
  return [isUsualNode ? 'node' : node, ...file.slice(0, -1), shown].map(quote).join(' ');
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word)
    ? word
    : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
