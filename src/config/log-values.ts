/** `Log`: which lines go where. */
import { pathType, type ValueType, valueFault } from './value-types.ts';

/** Tor's severities, the least important first. */
export const logLevels = ['debug', 'info', 'notice', 'warn', 'err'] as const;
/** One of them. */
export type LogLevel = (typeof logLevels)[number];

/** One `Log` line. */
export interface LogLine {
  /** The range of severities that are written; both ends belong to it. */
  readonly minimum: LogLevel;
  readonly maximum: LogLevel;
  readonly target: 'stdout' | 'stderr' | 'syslog' | { readonly file: string };
}

/** `Log notice` goes to stdout, as with Tor. */
export const logType: ValueType<LogLine> = {
  syntax:
    'SEVERITY[-SEVERITY] [stdout|stderr|syslog|file /PATH], of debug, info, notice, warn, err',
  parse(text) {
    if (text.includes('['))
      throw valueFault('log domains, in brackets, are Tor’s own: leave them out');
    const match =
      /^([a-z]+)(?:-([a-z]+))?(?:[ \t]+(?:(stdout|stderr|syslog)|file[ \t]+(.+)))?$/i.exec(text);
    const minimum = findLevel(match?.[1]);
    const maximum = findLevel(match?.[2] ?? 'err');
    if (match === null || minimum === undefined || maximum === undefined) {
      throw valueFault(
        'must be a severity and where to write, like: warn file /var/log/postern.log',
      );
    }
    if (logLevels.indexOf(minimum) > logLevels.indexOf(maximum)) {
      throw valueFault('the first severity of a range must be the lesser one, like info-warn');
    }
    const stream = streams.find((name) => name === match[3]?.toLowerCase()) ?? 'stdout';
    const file = match[4];
    return {
      minimum,
      maximum,
      target: file === undefined ? stream : { file: pathType.parse(file) },
    };
  },
  format({ minimum, maximum, target }) {
    const range = maximum === 'err' ? minimum : `${minimum}-${maximum}`;
    return `${range} ${typeof target === 'string' ? target : `file ${target.file}`}`;
  },
};

const streams = ['stdout', 'stderr', 'syslog'] as const;

function findLevel(word: string | undefined): LogLevel | undefined {
  const name = word?.toLowerCase();
  return logLevels.find((severity) => severity === name);
}
