import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PosternBug } from '../errors.ts';

/** One requirement of the specification, as `spec/pt-clauses.json` has it. */
export interface Clause {
  readonly id: string;
  readonly level: Level;
  /** Whom it binds: `parent`, `proxy`, `client-proxy`, `server-proxy` or `transport`. */
  readonly who: string;
  readonly clause: string;
}

/** How strongly a clause binds; a FACT is how the protocol works, without a key word. */
export type Level = 'MUST' | 'MUST NOT' | 'FACT' | 'SHOULD' | 'SHOULD NOT' | 'MAY';

/** The levels that nothing may break. */
export const bindingLevels: ReadonlySet<Level> = new Set<Level>(['MUST', 'MUST NOT', 'FACT']);

/** The clauses of one of the files of `spec/`, in the document's order. */
export function readClauses(file: 'pt-clauses.json' | 'tc-clauses.json'): readonly Clause[] {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'spec', file))) {
    const above = dirname(folder);
    if (above === folder) throw new PosternBug(`spec/${file} is not part of this installation`);
    folder = above;
  }
  return JSON.parse(readFileSync(join(folder, 'spec', file), 'utf8')) as readonly Clause[];
}
