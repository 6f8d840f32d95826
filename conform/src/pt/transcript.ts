/** What a start said, read strictly. */
import type { Role } from '../clauses.ts';
import { type Findings, type Judge, shown } from '../findings.ts';
import type { Run, Variables } from './run.ts';

/** For judgements on all that a start said. */
export function byRun(findings: Findings, run: Run, sent: string = run.what): Judge {
  return findings.on(sent, describeRun(run));
}

/** How evidence names a start: what differs from a plain one. */
export function startedWith(role: Role, changes: Variables): string {
  const settings = Object.entries(changes).map(([name, value]) =>
    value === undefined ? `${name} left out` : shown(`${name}=${value}`),
  );
  return settings.length === 0 ? `a ${role} launch` : `a ${role} launch, ${settings.join(', ')}`;
}

/** `VERSION 1 / ENV-ERROR no such thing / exit 1` */
export function describeRun(run: Run): string {
  const words = run.lines.map((line) => shown(line));
  if (run.tail !== '') words.push(`${shown(run.tail)} without NL`);
  words.push(describeEnd(run));
  return words.join(' / ');
}

/** `exit 1`, `killed by SIGTERM`, `still running` */
export function describeEnd({ end }: Run): string {
  if (end === undefined) return 'still running';
  return end.signal === null ? `exit ${end.exitCode}` : `killed by ${end.signal}`;
}

/** The lines behind VERSION 1 that report on the configuration, LOG and STATUS left out. */
export function messages(run: Run): readonly string[] {
  return run.lines.filter((line) => !/^(?:LOG|STATUS)(?: |$)/.test(line));
}

/** One error line of a kind and the end; before ENV-ERROR, VERSION 1 may be left out [PT-3.3.1-11]. */
export function isRefusal(run: Run, keyword: 'ENV-ERROR' | 'PROXY-ERROR'): boolean {
  const said = messages(run);
  const [error = '', ...more] = said[0] === 'VERSION 1' ? said.slice(1) : said;
  return (
    error.startsWith(`${keyword} `) &&
    more.length === 0 &&
    (said.length === 2 || keyword === 'ENV-ERROR') &&
    run.endedAfterError === true
  );
}

/** VERSION 1, then a complete start. */
export function isReady(run: Run): boolean {
  return messages(run)[0] === 'VERSION 1' && run.isDone;
}

/** How many lines report on a transport. */
export function methodLines(run: Run, name: string): number {
  return run.methods.filter(({ transport }) => transport === name).length;
}
