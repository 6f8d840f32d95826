/**
 * A node:test reporter: which tests name which clauses of the specification, and how they went.
 *
 * A test claims clauses by beginning its title with their ids: `[PT-3.1-02] [PT-3.1-03] text`.
 * What comes out is sorted and holds no time, so that two runs of the same tests are equal.
 */
import { relative, sep } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { buildRoot, packageRoot } from './paths.ts';

/** How a test went. A test that is marked `todo` proves nothing and counts as skipped. */
export type Outcome = 'passed' | 'failed' | 'skipped';

/** One test that claims at least one clause. */
export interface Claim {
  /** The source file below the checkout, with forward slashes. */
  readonly file: string;
  /** The title without its ids. */
  readonly title: string;
  readonly clauses: readonly string[];
  readonly outcome: Outcome;
}

/** The ids at the beginning of a test's title, and the rest of it. */
export function splitTitle(title: string): { clauses: string[]; rest: string } {
  const head = /^(?:\[[A-Z]+-[0-9A-Z.]+-[0-9]+\]\s*)*/.exec(title)![0];
  return {
    clauses: [...head.matchAll(/\[([^\]]+)\]/g)].map((match) => match[1]!),
    rest: title.slice(head.length),
  };
}

export default async function* conformanceReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  const claims: Claim[] = [];
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { clauses, rest } = splitTitle(event.data.name);
    if (clauses.length === 0) continue;
    const skipped = Boolean(event.data.skip) || Boolean(event.data.todo);
    const ran = event.type === 'test:pass' ? 'passed' : 'failed';
    claims.push({
      file: sourceFile(event.data.file ?? ''),
      title: rest,
      clauses,
      outcome: skipped ? 'skipped' : ran,
    });
  }
  claims.sort((a, b) => compare(JSON.stringify(a), JSON.stringify(b)));
  yield `${JSON.stringify(claims, undefined, 1)}\n`;
}

function sourceFile(compiled: string): string {
  const isOwn = compiled.startsWith(buildRoot + sep);
  // A package of the workspace has its build in a folder of its own.
  const path = isOwn ? relative(buildRoot, compiled) : relative(packageRoot, compiled);
  return path.split(sep).join('/').replace('/dist/', '/').replace(/\.js$/, '.ts');
}

/** Code-point order: the same on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
