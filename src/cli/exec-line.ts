/**
 * The command line of a managed proxy: what stands behind `exec` in a torrc. It is read as Go's `flag`
 * package reads it, since the world's torrc files were written for obfs4proxy and lyrebird.
 *
 *     exec /usr/bin/postern managed                          exec … -enableLogging=true -logLevel=ERROR
 *     exec … --enableLogging --logLevel INFO                 exec … --plugin ./rot-by-n.mjs
 */
import { UsageError } from './report-error.ts';

/** The options of the managed proxy, by the names of the table. */
export interface ExecLine {
  readonly help?: true;
  readonly version?: true;
  readonly plugin?: readonly string[];
  readonly logLevel?: string;
  readonly logFile?: string;
  readonly enableLogging?: true;
  readonly unsafeLogging?: true;
  readonly distBias?: true;
  readonly metrics?: string;
  /** The words from the first one on that is no option: they are ignored. */
  readonly ignored: readonly string[];
}

/** One option of the managed proxy. */
interface ExecOption {
  readonly key: Exclude<keyof ExecLine, 'ignored'>;
  /** How it may be written, behind one dash or two. */
  readonly names: readonly string[];
  /** What its value is; absent for an option that is on or off. */
  readonly value?: string;
  /** Whether it may stand there several times. */
  readonly repeats?: true;
  readonly description: string;
}

/** Every option that may stand behind `exec`: ours, obfs4proxy's and lyrebird's. */
export const execOptions: readonly ExecOption[] = [
  { key: 'help', names: ['h', 'help'], description: 'show this help, or that of a verb' },
  { key: 'version', names: ['V', 'version'], description: 'print the version' },
  {
    key: 'plugin',
    names: ['plugin'],
    value: 'module',
    repeats: true,
    description: 'add the transports of a module; may be repeated',
  },
  {
    key: 'logLevel',
    names: ['logLevel', 'log-level'],
    value: 'level',
    description: 'managed: error, warning, notice, info or debug',
  },
  {
    key: 'logFile',
    names: ['log-file'],
    value: 'name',
    description: 'managed: write a log with this name into the state directory',
  },
  {
    key: 'enableLogging',
    names: ['enableLogging'],
    description: 'managed: the same as --log-file postern.log',
  },
  {
    key: 'unsafeLogging',
    names: ['unsafeLogging', 'unsafe-logging'],
    description: 'managed: do not scrub addresses from the log',
  },
  {
    key: 'metrics',
    names: ['metrics'],
    value: 'address:port',
    description: 'managed: figures for Prometheus, on this machine alone',
  },
  {
    key: 'distBias',
    names: ['obfs4-distBias'],
    description: 'managed: taken because obfs4proxy takes it; changes nothing',
  },
];

/**
 * Reads the words behind the program by the rules of Go's `flag`: one dash or two, `-name=value` or
 * `-name value`, booleans with or without `=true`; the last of several wins. Options end at `--` or
 * at the first word that is none, and the rest is ignored.
 *
 * @throws UsageError for an option that does not exist, or a value that is missing or no boolean
 */
export function parseExecLine(args: readonly string[]): ExecLine {
  const values: Record<string, unknown> = {};
  let at = 0;
  while (at < args.length) {
    const word = args[at]!;
    // "-" alone is no option.
    if (!/^-./s.test(word)) break;
    at += 1;
    if (word === '--') break;
    const [, name, given] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) throw new UsageError(`${word} is no option`);
    const option = execOptions.find(({ names }) => names.includes(name));
    if (option === undefined) throw new UsageError(`unknown option -${name}; see postern --help`);
    if (option.value === undefined) {
      if (parseBoolean(name, given ?? 'true')) values[option.key] = true;
      else delete values[option.key];
      continue;
    }
    const value = given ?? args[at];
    if (value === undefined) throw new UsageError(`-${name} needs a value`);
    if (given === undefined) at += 1;
    const earlier = (values[option.key] ?? []) as readonly string[];
    values[option.key] = option.repeats ? [...earlier, value] : value;
  }
  return { ...(values as Omit<ExecLine, 'ignored'>), ignored: args.slice(at) };
}

/** Go's strconv.ParseBool. */
function parseBoolean(name: string, text: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new UsageError(`-${name} takes true or false, as -name=true`);
}
