/** `postern-conform parent`: plays a PT, right and wrong, and watches what its parent does. */
import { type Clause, readClauses } from '../clauses.ts';
import { type Check, examine } from '../examine.ts';
import type { ClauseReport } from '../findings.ts';
import { ParentLab, type ParentOptions } from './lab.ts';
import { scripts } from './scripts.ts';

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
export function examineParent(options: ParentOptions): Promise<readonly ClauseReport[]> {
  const lab = new ParentLab(options);
  const clauses = parentClauses();
  return examine(options, {
    clauses,
    lab,
    jobs: JOBS,
    first: 'looking for what it asks of a PT',
    async discover() {
      const checks: Check<ParentLab>[] = [];
      for (const launch of options.launches) checks.push(...(await lab.checksOf(launch)));
      for (const role of ['client', 'server'] as const) {
        if (lab.roles.has(role)) continue;
        const ids = clauses.map(({ id }) => id).filter((id) => ofRole[role].test(id));
        lab.lack(ids.join(' '), `this command launches no ${role}`, 'not applicable');
      }
      return checks;
    },
    unjudged,
  });
}

/** The clauses that only one role can show. */
const ofRole = {
  client: /^PT-3\.(?:2\.2|3\.2|5)-/,
  server: /^PT-3\.(?:2\.3|3\.3)-/,
} as const;

const unjudged = [
  ['PT-3.2.3-21 PT-3.2.3-24', 'it uses the Extended ORPort', 'not applicable'],
  [
    'PT-3.2.2-08 PT-3.2.3-11 PT-3.2.3-15 PT-3.2.3-07 PT-3.3.1-11 PT-3.3.3-07',
    'it permits, and asks nothing',
    'not applicable',
  ],
  ['PT-3.2.2-05', 'only a recipe says which upstream proxy the parent was given'],
  ['PT-3.2-02', 'it says that a prefix is only a name', 'not applicable'],
  ['PT-3.3.3-09', 'what a parent makes known to clients is its own affair'],
] as const;

/** Parents at a time: they mostly wait. */
const JOBS = 10;
