/**
 * `npm run docs` writes the documents that are derived from code and from the last whole test run;
 * `npm run docs:check` compares instead of writing, and fails when a clause that counts is unproven.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorTable } from '../src/errors.ts';
import { limitTable } from '../src/limits.ts';
import { documents, formatConformance, parseClauses, problemsOf } from './conformance.ts';
import type { Claim } from './conformance-reporter.ts';
import { formatErrors, formatLimits, formatOptions } from './reference-pages.ts';
import { buildRoot, packageRoot } from './paths.ts';

const check = process.argv.includes('--check');
const problems: string[] = [];

const clauses = documents.flatMap(({ file }) =>
  parseClauses(readFileSync(join(packageRoot, 'spec', file), 'utf8')),
);
const claims = readClaims();

publish('docs/ERRORS.md', formatErrors(errorTable));
publish('docs/LIMITS.md', formatLimits(limitTable));
publish('docs/OPTIONS.md', formatOptions());
if (claims !== undefined) publish('docs/CONFORMANCE.md', formatConformance(clauses, claims));

if (check && claims !== undefined) problems.push(...problemsOf(clauses, claims));
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

function readClaims(): readonly Claim[] | undefined {
  const file = join(buildRoot, 'conformance.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as readonly Claim[];
  problems.push('No result of a whole test run to make docs/CONFORMANCE.md from: run `npm test`.');
  return undefined;
}

function publish(path: string, text: string): void {
  const file = join(packageRoot, path);
  if (!check) writeFileSync(file, text);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    problems.push(`${path} is out of date: run \`npm test && npm run docs\` and commit it.`);
  }
}
