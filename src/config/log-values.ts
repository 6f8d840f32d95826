/** `Log`: which lines go where. */
import { pathType, type ValueType, valueFault } from './value-types.ts';

/** Tor's severities, the least important first. */
export const logLevels = ['debug', 'info', 'notice', 'warn', 'err'] as const;
/** One of them. */
export type LogLevel = (typeof logLevels)[number];

/** Tor's log domains: what a line is about. Of some of them this program has nothing to say. */
export const logDomains: readonly LogDomain[] = [
  ...(['general', 'crypto', 'net', 'config', 'fs', 'protocol', 'mm', 'http', 'app'] as const),
  ...(['control', 'circ', 'rend', 'bug', 'dir', 'dirserv', 'or', 'edge', 'acct'] as const),
  ...(['hist', 'handshake', 'heartbeat', 'channel', 'sched', 'guard', 'consdiff'] as const),
  ...(['dos', 'process', 'pt', 'btrack', 'mesg'] as const),
];
/** One of them. */
export type LogDomain =
  | ('general' | 'crypto' | 'net' | 'config' | 'fs' | 'protocol' | 'mm' | 'http' | 'app')
  | ('control' | 'circ' | 'rend' | 'bug' | 'dir' | 'dirserv' | 'or' | 'edge' | 'acct')
  | ('hist' | 'handshake' | 'heartbeat' | 'channel' | 'sched' | 'guard' | 'consdiff')
  | ('dos' | 'process' | 'pt' | 'btrack' | 'mesg');

/** Some severities, perhaps of some domains alone. */
interface LogRange {
  /** Both ends belong to it; it is empty where the first is the greater one. */
  readonly minimum: LogLevel;
  readonly maximum: LogLevel;
  /** As written, without the brackets; absent for all. */
  readonly domains?: readonly string[];
}

/** One `Log` line. */
export interface LogLine {
  /** What one of them takes is written. */
  readonly ranges: readonly LogRange[];
  readonly target: 'stdout' | 'stderr' | 'syslog' | { readonly file: string };
}

/** `Log notice` goes to stdout, as with Tor. */
export const logType: ValueType<LogLine> = {
  syntax:
    '[[DOMAIN,…]]SEVERITY[-SEVERITY] … [stdout|stderr|syslog|file PATH], of debug, info, notice, warn, err',
  parse(text) {
    const match =
      /^((?:\s*(?:\[[^\]]*\]\s*)?[a-z]+(?:-[a-z]+)?(?=\s|$))+?)(?:\s+(?:(stdout|stderr|syslog)|file\s+(.+)))?$/i.exec(
        text,
      );
    if (match === null) {
      throw valueFault(
        'must be a severity and where to write, like: warn file /var/log/postern.log',
      );
    }
    const ranges = [...match[1]!.matchAll(/(?:\[([^\]]*)\]\s*)?([a-z]+)(?:-([a-z]+))?/gi)].map(
      ([, domains, minimum, maximum]) => parseRange(domains, minimum!, maximum),
    );
    if (ranges.filter(({ domains }) => domains === undefined).length > 1) {
      throw valueFault('only one of several severities can be without domains, in brackets');
    }
    const stream = streams.find((name) => name === match[2]?.toLowerCase()) ?? 'stdout';
    const file = match[3];
    return { ranges, target: file === undefined ? stream : { file: pathType.parse(file) } };
  },
  format({ ranges, target }) {
    const where = typeof target === 'string' ? target : `file ${target.file}`;
    return [...ranges.map(formatRange), where].join(' ');
  },
};

/** Whether a line is written. @param domain undefined for what nobody knows the domain of */
export function takesLine(
  { ranges }: LogLine,
  level: LogLevel,
  domain: LogDomain | undefined,
): boolean {
  const rank = logLevels.indexOf(level);
  return ranges.some(
    ({ minimum, maximum, domains }) =>
      rank >= logLevels.indexOf(minimum) &&
      rank <= logLevels.indexOf(maximum) &&
      (domains === undefined || domain === undefined || hasDomain(domains, domain)),
  );
}

/** As Tor does: what is named with a `~` is out wherever it stands; without any other name all else is in. */
function hasDomain(words: readonly string[], domain: LogDomain): boolean {
  if (words.includes(`~${domain}`)) return false;
  return (
    words.includes('*') || words.includes(domain) || words.every((word) => word.startsWith('~'))
  );
}

const streams = ['stdout', 'stderr', 'syslog'] as const;

function parseRange(domainText: string | undefined, first: string, last = 'err'): LogRange {
  const [minimum, maximum] = [findLevel(first), findLevel(last)];
  if (minimum === undefined || maximum === undefined) {
    throw valueFault('must be a severity and where to write, like: warn file /var/log/postern.log');
  }
  if (domainText === undefined) return { minimum, maximum };
  const domains = domainText.split(',').map((word) => word.trim().toLowerCase());
  const known: readonly string[] = logDomains;
  if (domains.some((word) => word !== '*' && !known.includes(word.replace(/^~/, '')))) {
    throw valueFault(`there is a log domain that does not exist; there are ${known.join(', ')}`);
  }
  return { minimum, maximum, domains };
}

function formatRange({ minimum, maximum, domains }: LogRange): string {
  const brackets = domains === undefined ? '' : `[${domains.join(',')}]`;
  return `${brackets}${maximum === 'err' ? minimum : `${minimum}-${maximum}`}`;
}

function findLevel(word: string): LogLevel | undefined {
  const name = word.toLowerCase();
  return logLevels.find((severity) => severity === name);
}
