/** What checks find out, and what that makes of each clause. */
import type { Clause } from './clauses.ts';

/** What the kit says about one clause. */
export type Verdict = 'holds' | 'broken' | 'not observable' | 'not applicable';

/** What a check did and saw, in words for the program's author. */
export interface Evidence {
  readonly sent: string;
  readonly came: string;
  readonly expected: string;
}

/** What one check says about one clause. */
export type Finding =
  | ({ readonly clause: string; readonly verdict: 'holds' | 'broken' } & Evidence)
  | {
      readonly clause: string;
      readonly verdict: 'not observable' | 'not applicable';
      readonly reason: string;
    };

/** A clause with its verdict and what it rests on. */
export interface ClauseReport {
  readonly clause: Clause;
  readonly verdict: Verdict;
  /** How many checks judged it. */
  readonly checks: number;
  /** What was wrong, for `broken`. */
  readonly faults: readonly Evidence[];
  /** Why there is no judgement, for `not observable` and `not applicable`. */
  readonly reason?: string;
}

/** Collects what one probe finds. */
export class Findings {
  readonly list: Finding[] = [];

  /** The same check for one or several clauses, separated by spaces. */
  judge(clauses: string, holds: boolean, evidence: Evidence): void {
    for (const clause of clauses.split(' ')) {
      this.list.push({ clause, verdict: holds ? 'holds' : 'broken', ...evidence });
    }
  }

  /** Why clauses cannot be judged here. */
  pass(clauses: string, verdict: 'not observable' | 'not applicable', reason: string): void {
    for (const clause of clauses.split(' ')) this.list.push({ clause, verdict, reason });
  }
}

/** One fault outweighs every check that found none; any judgement outweighs the lack of one. */
export function reportClauses(
  clauses: readonly Clause[],
  findings: readonly Finding[],
): readonly ClauseReport[] {
  return clauses.map((clause) => {
    const own = findings.filter((finding) => finding.clause === clause.id);
    const judged = own.filter(
      (finding): finding is Finding & Evidence =>
        finding.verdict === 'holds' || finding.verdict === 'broken',
    );
    const faults = judged
      .filter(({ verdict }) => verdict === 'broken')
      .map(({ sent, came, expected }) => ({ sent, came, expected }));
    const checks = judged.length;
    if (faults.length > 0) return { clause, verdict: 'broken', checks, faults };
    if (checks > 0) return { clause, verdict: 'holds', checks, faults };
    const passed = own.find((finding) => 'reason' in finding);
    return {
      clause,
      checks,
      faults,
      verdict: passed?.verdict ?? 'not observable',
      reason: passed !== undefined && 'reason' in passed ? passed.reason : NOTHING_REACHED_IT,
    };
  });
}

const NOTHING_REACHED_IT = 'no check got as far as to judge it';

/** Bytes or a line as evidence shows them: printable, and not too long. */
export function shown(text: string): string {
  const printable = JSON.stringify(text)
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replaceAll('\\\\', '\\');
  return printable.length <= SHOWN_LENGTH
    ? printable
    : `${printable.slice(0, SHOWN_LENGTH)}… (${text.length} characters)`;
}

const SHOWN_LENGTH = 160;
