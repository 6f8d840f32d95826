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

/** Why there is no judgement. */
export type NoVerdict = 'not observable' | 'not applicable';

/** Thrown by a check that cannot judge its clauses here, with the reason. */
export class Unjudged extends Error {
  override readonly name: string = 'Unjudged';
  readonly verdict: NoVerdict;

  constructor(reason: string, verdict: NoVerdict = 'not observable') {
    super(reason);
    this.verdict = verdict;
  }
}

/** What one check says about one clause. */
type Finding =
  | ({ readonly clause: string; readonly verdict: 'holds' | 'broken' } & Evidence)
  | { readonly clause: string; readonly verdict: NoVerdict; readonly reason: string };

/** Judges clauses, separated by spaces, on what was done and what came of it. */
export type Judge = (clauses: string, holds: boolean, expected: string) => void;

/** A clause with its verdict and the reasons for it. */
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

/** Collects what checks find. */
export class Findings {
  #list: Finding[] = [];
  #lacks: Finding[] = [];

  /** A copy to add to, which leaves these as they are. */
  copy(): Findings {
    const copy = new Findings();
    copy.#list = [...this.#list];
    copy.#lacks = [...this.#lacks];
    return copy;
  }

  /** What was found about a clause; the `lack`s come last. */
  about(id: string): readonly Finding[] {
    return [...this.#list, ...this.#lacks].filter(({ clause }) => clause === id);
  }

  /** Judges one clause or several, separated by spaces. */
  judge(clauses: string, holds: boolean, evidence: Evidence): void {
    for (const clause of clauses.split(' ')) {
      this.#list.push({ clause, verdict: holds ? 'holds' : 'broken', ...evidence });
    }
  }

  /** For several judgements on one thing that was done, and on what came of it. */
  on(sent: string, came: string): Judge {
    return (clauses, holds, expected) => this.judge(clauses, holds, { sent, came, expected });
  }

  /** Notes why clauses cannot be judged here. */
  pass(clauses: string, reason: string, verdict: NoVerdict = 'not observable'): void {
    for (const clause of clauses.split(' ')) this.#list.push({ clause, verdict, reason });
  }

  /** The same for what could not even be tried: what was found by trying counts before it. */
  lack(clauses: string, reason: string, verdict: NoVerdict = 'not observable'): void {
    for (const clause of clauses.split(' ')) this.#lacks.push({ clause, verdict, reason });
  }
}

/** One fault outweighs all checks that found none; any judgement outweighs the lack of one. */
export function reportClauses(
  clauses: readonly Clause[],
  findings: Findings,
): readonly ClauseReport[] {
  return clauses.map((clause) => {
    const own = findings.about(clause.id);
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
