/** The examination, whatever the subject: checks are chosen and run, a few at a time, and each clause gets a verdict. */
import type { Clause } from './clauses.ts';
import { ExaminationError } from './errors.ts';
import {
  type ClauseReport,
  Findings,
  type NoVerdict,
  reportClauses,
  Unjudged,
} from './findings.ts';
import { inParallel } from './parallel.ts';

/**
 * Where programs of one kind are examined, and what is found there: it starts them or connects to them, and cleans
 * up afterwards.
 */
export abstract class Lab extends Findings {
  /** Ends everything that was started, and removes or puts back what is left. */
  abstract close(): Promise<void>;
}

/** One experiment, and the clauses that it can judge. */
export interface Check<L extends Lab> {
  /** Their ids, separated by spaces. */
  readonly clauses: string;
  /** What is being done, for the progress line. */
  readonly title: string;
  /** @throws Unjudged when it cannot judge them; what it judged before stays */
  readonly run: (lab: L) => Promise<void>;
}

/** How one examination goes, whatever is examined. */
export interface ExamineOptions {
  /** Clause ids; all that bind the program by default. */
  readonly only?: readonly string[];
  /** Ends as soon as every clause that was asked for is broken. */
  readonly bail?: boolean;
  readonly signal: AbortSignal;
  /** Hears of each check that has ended. */
  readonly onProgress?: (done: number, total: number, title: string) => void;
}

/** What is examined. */
export interface Subject<L extends Lab> {
  readonly clauses: readonly Clause[];
  readonly lab: L;
  /** How many checks at a time. */
  readonly jobs: number;
  /** The line of progress for `discover`, which takes a while. */
  readonly first: string;
  /** Finds out what there is to examine. @returns all that could be checked of it */
  readonly discover: () => Promise<readonly Check<L>[]>;
  /** Comes after each check. */
  readonly settle?: () => Promise<void>;
  /** What must hold of all that the program says, whatever it was asked for. */
  readonly overall?: {
    readonly clauses: string;
    /** These show enough of it. */
    readonly checks: ReadonlySet<Check<L>>;
    readonly judge: (findings: Findings) => void;
  };
  /** Verdicts for clauses that no check has judged. */
  readonly unjudged: readonly (readonly [clauses: string, reason: string, verdict?: NoVerdict])[];
}

/**
 * Examines a program. What was started is gone when the promise settles.
 *
 * @throws ExaminationError when there is nothing to examine; `signal.reason`
 */
export async function examine<L extends Lab>(
  { only, bail = false, signal, onProgress = () => {} }: ExamineOptions,
  { lab, overall, ...subject }: Subject<L>,
): Promise<readonly ClauseReport[]> {
  const clauses = subject.clauses.filter(({ id }) => only === undefined || only.includes(id));
  const selected = new Set(clauses.map(({ id }) => id));
  const count = (ids: string): number => ids.split(' ').filter((id) => selected.has(id)).length;
  const reports = (): readonly ClauseReport[] => {
    const all = lab.copy();
    overall?.judge(all);
    return reportClauses(clauses, all);
  };
  try {
    onProgress(0, 0, subject.first);
    const needsOverall = overall !== undefined && count(overall.clauses) > 0;
    const checks = (await subject.discover()).filter(
      (check) => count(check.clauses) > 0 || (needsOverall && overall.checks.has(check)),
    );
    // Those that judge most of the clauses come first: they may be enough.
    if (bail) checks.sort((a, b) => count(b.clauses) - count(a.clauses));
    let done = 0;
    await inParallel(checks, bail ? 2 : subject.jobs, async (check) => {
      signal.throwIfAborted();
      if (bail && reports().every(({ verdict }) => verdict === 'broken')) return;
      try {
        await check.run(lab);
      } catch (error) {
        if (error instanceof Unjudged) lab.pass(check.clauses, error.message, error.verdict);
        else if (error instanceof ExaminationError) lab.pass(check.clauses, error.message);
        else throw error;
      }
      await subject.settle?.();
      done += 1;
      onProgress(done, checks.length, check.title);
    });
    for (const row of subject.unjudged) lab.lack(...row);
    return reports();
  } finally {
    await lab.close();
  }
}
