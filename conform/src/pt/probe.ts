import { type Findings, shown } from '../findings.ts';
import type { Lab, Role } from '../lab.ts';
import type { Variables } from '../run.ts';

/** One experiment: what it looks at, and which clauses it can judge. */
export interface Probe {
  readonly clauses: readonly string[];
  /** What is being done, for the progress line. */
  readonly title: string;
  /**
   * The role that the program must have for it, `pair` for both with a common transport, or a role without
   * such a counterpart.
   */
  readonly needs: Role | 'pair' | 'any' | 'lone client' | 'lone server';
  readonly run: (lab: Lab, findings: Findings) => Promise<void>;
}

/** How evidence names a start: what differs from a plain one. */
export function startedWith(role: Role, changes: Variables): string {
  const settings = Object.entries(changes).map(([name, value]) =>
    value === undefined ? `${name} left out` : shown(`${name}=${value}`),
  );
  return settings.length === 0 ? `a ${role} launch` : `a ${role} launch, ${settings.join(', ')}`;
}
