import type { Role } from '../clauses.ts';
import type { Check } from '../examine.ts';
import type { PtLab } from './lab.ts';

/** A check of a PT program. */
export interface PtCheck extends Check<PtLab> {
  /**
   * The role that the program must have for it, `pair` for both with a common transport, or a role without
   * such a counterpart.
   */
  readonly needs: Role | 'pair' | 'any' | 'lone client' | 'lone server';
}
