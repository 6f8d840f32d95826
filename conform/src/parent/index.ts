/** `postern conform parent`: plays a PT, right and wrong, and watches what its parent does. */
import { type Clause, readClauses } from '../clauses.ts';
import { type ClauseReport, type Findings, reportClauses } from '../findings.ts';
import { inParallel } from '../parallel.ts';
import { Examination, type ExaminationOptions, type Task } from './examination.ts';
import type { Launch } from './recipes.ts';
import { scripts } from './scripts.ts';

/** What to examine, and how. */
export interface ParentOptions extends ExaminationOptions {
  /** The ways to start the parent; each is examined. */
  readonly launches: readonly Launch[];
  readonly only?: readonly string[];
  /** Ends as soon as every clause that was asked for is broken. */
  readonly bail?: boolean;
  readonly onProgress?: (done: number, total: number, title: string) => void;
}

/** The clauses that bind a parent, and those of a PT that say what a parent may expect of it. */
export function parentClauses(): readonly Clause[] {
  const played = new Set(scripts.flatMap((script) => script.clauses.split(' ')));
  return readClauses('pt-clauses.json').filter(({ id, who }) => who === 'parent' || played.has(id));
}

/**
 * Examines a parent. Everything that it starts is gone when the promise settles.
 *
 * @throws ExaminationError `ERR_CONFORM_PROGRAM` when a command starts no PT; `signal.reason`
 */
export async function examineParent(options: ParentOptions): Promise<readonly ClauseReport[]> {
  const { launches, only, onProgress = () => {} } = options;
  const clauses = parentClauses().filter(({ id }) => only === undefined || only.includes(id));
  const selected = new Set(clauses.map(({ id }) => id));
  const examination = new Examination(options);
  try {
    const tasks: Task[] = [];
    for (const launch of launches) {
      onProgress(0, 0, 'looking for what it asks of a PT');
      tasks.push(...(await examination.tasksOf(launch)));
    }
    const chosen = tasks.filter((task) => task.clauses.split(' ').some((id) => selected.has(id)));
    let done = 0;
    await inParallel(chosen, options.bail === true ? 2 : JOBS, async (task) => {
      options.signal.throwIfAborted();
      if (options.bail === true && isAllBroken(clauses, examination.findings)) return;
      await task.run();
      done += 1;
      onProgress(done, chosen.length, task.title);
    });
    const { findings } = examination;
    for (const [ids, verdict, reason] of unjudged) findings.pass(ids, verdict, reason);
    for (const role of ['client', 'server']) {
      if (examination.roles.has(role)) continue;
      const ids = clauses.map(({ id }) => id).filter((id) => clausesOfRole(role).has(id));
      const reason = `this command launches no ${role}`;
      if (ids.length > 0) findings.pass(ids.join(' '), 'not applicable', reason);
    }
    return reportClauses(clauses, findings.list);
  } finally {
    await examination.close();
  }
}

function isAllBroken(clauses: readonly Clause[], findings: Findings): boolean {
  return reportClauses(clauses, findings.list).every(({ verdict }) => verdict === 'broken');
}

/** The clauses that only one role can show. */
function clausesOfRole(role: string): ReadonlySet<string> {
  const section = role === 'client' ? /^PT-3\.(?:2\.2|3\.2|5)-/ : /^PT-3\.(?:2\.3|3\.3)-/;
  return new Set(
    parentClauses()
      .map(({ id }) => id)
      .filter((id) => section.test(id)),
  );
}

const unjudged = [
  ['PT-3.2.3-21 PT-3.2.3-24', 'not applicable', 'it uses the Extended ORPort'],
  [
    'PT-3.2.2-08 PT-3.2.3-11 PT-3.2.3-15 PT-3.2.3-07 PT-3.3.1-11 PT-3.3.3-07',
    'not applicable',
    'it permits, and asks nothing',
  ],
  ['PT-3.2.2-05', 'not observable', 'only a recipe says which upstream proxy the parent was given'],
  ['PT-3.2-02', 'not applicable', 'it says that a prefix is only a name'],
  ['PT-3.3.3-09', 'not observable', 'what a parent makes known to clients is its own affair'],
] as const;

/** Parents at a time: they mostly wait. */
const JOBS = 10;
