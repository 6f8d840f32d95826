import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One requirement of the specification, as `spec/pt-clauses.json` has it. */
export interface Clause {
  readonly id: string;
  readonly level: Level;
  /** Whom it binds: `parent`, `proxy`, `client-proxy`, `server-proxy` or `transport`. */
  readonly who: string;
  readonly clause: string;
}

/** A role that one start of a PT has. */
export type Role = 'client' | 'server';

/** How strongly a clause binds; a FACT is how the protocol works, without a key word. */
export type Level = 'MUST' | 'MUST NOT' | 'FACT' | 'SHOULD' | 'SHOULD NOT' | 'MAY';

/** The levels that nothing may break. */
export const bindingLevels: ReadonlySet<Level> = new Set<Level>(['MUST', 'MUST NOT', 'FACT']);

/** The clauses of one of the files of postern's `spec/`, in the document's order. */
export function readClauses(file: 'pt-clauses.json' | 'tc-clauses.json'): readonly Clause[] {
  const path = fileURLToPath(import.meta.resolve(`postern/spec/${file}`));
  return JSON.parse(readFileSync(path, 'utf8')) as readonly Clause[];
}
