/** What the value of an option can be: how it is read, checked and written back. */
import { PosternError } from '../errors.ts';

/** The type of one value. `format(parse(text))` is the canonical form that GETCONF answers. */
export interface ValueType<T> {
  /** For `docs/OPTIONS.md`, as `NUMBER [KB|MB|GB]`. */
  readonly syntax: string;
  /** @throws PosternError saying what is wrong; no message quotes the value, which may be secret */
  parse(text: string): T;
  format(value: T): string;
}

/** An error for a value that is wrong. Whoever knows them puts key and line number before it. */
export function valueFault(message: string, cause?: unknown): PosternError {
  return new PosternError('ERR_CONFIG_VALUE', message, { cause });
}

/** 0 or 1, and no words, as Tor has it. */
export const booleanType: ValueType<boolean> = {
  syntax: '0 or 1',
  parse(text) {
    if (text !== '0' && text !== '1') throw valueFault('must be 0 or 1');
    return text === '1';
  },
  format: (value) => (value ? '1' : '0'),
};

/** A decimal number without sign. */
export function integerType(minimum: number, maximum: number): ValueType<number> {
  return {
    syntax: `a number from ${minimum} to ${maximum}`,
    parse(text) {
      const value = Number(text);
      if (!/^[0-9]{1,15}$/.test(text) || value < minimum || value > maximum) {
        throw valueFault(`must be a number from ${minimum} to ${maximum}`);
      }
      return value;
    },
    format: String,
  };
}

/**
 * An amount of data; canonical in bytes. K, M, G and T are powers of 1024, as in Tor. What is more than
 * `maximumBytes` becomes that, as with Tor.
 */
export function memoryType(
  minimumBytes: number,
  maximumBytes: number = Number.MAX_SAFE_INTEGER,
): ValueType<number> {
  const factors = new Map([
    ...unit(['b', 'byte', 'bytes'], 1),
    ...unit(['k', 'kb', 'kbyte', 'kbytes', 'kilobyte', 'kilobytes'], 2 ** 10),
    ...unit(['m', 'mb', 'mbyte', 'mbytes', 'megabyte', 'megabytes'], 2 ** 20),
    ...unit(['g', 'gb', 'gbyte', 'gbytes', 'gigabyte', 'gigabytes'], 2 ** 30),
    ...unit(['t', 'tb', 'tbyte', 'tbytes', 'terabyte', 'terabytes'], 2 ** 40),
    ...unit(['kbit', 'kbits', 'kilobit', 'kilobits'], 2 ** 7),
    ...unit(['mbit', 'mbits', 'megabit', 'megabits'], 2 ** 17),
    ...unit(['gbit', 'gbits', 'gigabit', 'gigabits'], 2 ** 27),
  ]);
  return {
    syntax: 'NUMBER [bytes|KB|MB|GB|TB|kbits|mbits|gbits]',
    parse(text) {
      const value = parseQuantity(text, factors, 'bytes, like 2097152 or 2 MB', minimumBytes);
      return Math.min(value, maximumBytes);
    },
    format: String,
  };
}

/** A length of time; canonical in seconds. What is out of bounds becomes the bound, as with Tor. */
export function intervalType(
  minimumSeconds: number,
  maximumSeconds: number = Number.MAX_SAFE_INTEGER,
): ValueType<number> {
  const factors = new Map([
    ...unit(['s', 'second', 'seconds'], 1),
    ...unit(['m', 'minute', 'minutes'], 60),
    ...unit(['h', 'hour', 'hours'], 3_600),
    ...unit(['day', 'days'], 86_400),
    ...unit(['week', 'weeks'], 7 * 86_400),
    ...unit(['month', 'months'], 2_629_728),
  ]);
  return {
    syntax: 'NUMBER [seconds|minutes|hours|days|weeks|months]',
    parse(text) {
      const value = parseQuantity(text, factors, 'seconds, like 90 or 2 minutes', 0);
      return Math.min(Math.max(value, minimumSeconds), maximumSeconds);
    },
    format: String,
  };
}

/** Free text that satisfies a pattern. */
export function textType(syntax: string, pattern: RegExp, problem: string): ValueType<string> {
  return {
    syntax,
    parse(text) {
      if (!pattern.test(text)) throw valueFault(problem);
      return text;
    },
    format: (value) => value,
  };
}

/** One of a few words, of any case. */
export function choiceType<T extends string>(choices: readonly T[]): ValueType<T> {
  return {
    syntax: choices.join('|'),
    parse(text) {
      const choice = choices.find((word) => word === text.toLowerCase());
      if (choice === undefined) throw valueFault(`must be ${choices.join(' or ')}`);
      return choice;
    },
    format: (value) => value,
  };
}

/** `SafeLogging`: Tor scrubs less with `relay`; here it is the same as 1. */
export const scrubbingType: ValueType<boolean> = {
  syntax: '0, 1 or relay',
  parse: (text) => text === 'relay' || booleanType.parse(text),
  format: (value) => booleanType.format(value),
};

/** A path; `~/` is the user's home, and what begins with neither that nor `/` the working directory's. */
export const pathType: ValueType<string> = textType('PATH', /./s, 'must be a path');

function unit(names: readonly string[], factor: number): (readonly [string, number])[] {
  return names.map((name) => [name, factor] as const);
}

function parseQuantity(
  text: string,
  factors: ReadonlyMap<string, number>,
  kind: string,
  minimum: number,
): number {
  const match = /^([0-9]{1,15})(?:\.([0-9]{1,6}))?[ \t]*([a-z]*)$/i.exec(text);
  const factor = match?.[3] === '' ? 1 : factors.get(match?.[3]?.toLowerCase() ?? '');
  if (match === null || factor === undefined) throw valueFault(`must be a number of ${kind}`);
  const value = Math.floor(Number(`${match[1]!}.${match[2] ?? '0'}`) * factor);
  if (value < minimum || value > Number.MAX_SAFE_INTEGER) {
    throw valueFault(`must be at least ${minimum} and less than 2^53`);
  }
  return value;
}
