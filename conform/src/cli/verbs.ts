/** `postern-conform pt`, `parent` and `tc`: reads what was asked for, examines, and prints what came of it. */
import { access, constants, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Endpoint, parseIpEndpoint } from 'postern/pt';
import type { Clause } from '../clauses.ts';
import { UsageError } from '../errors.ts';
import type { ClauseReport } from '../findings.ts';
import { examineParent, parentClauses } from '../parent/index.ts';
import { recipes } from '../parent/recipes.ts';
import { examinePt, ptClauses } from '../pt/index.ts';
import { formatJson, formatJunit, formatTable, isConforming, levelsNamed } from '../report.ts';
import { examineTc, tcClauses, type TcOptions } from '../tc/index.ts';
import type { TcPermissions } from '../tc/lab.ts';
import { createDisplay, formatBar } from './display.ts';
import { type ConformContext, ExitCode } from './context.ts';

/** What all of its verbs take. */
interface VerbOptions {
  readonly json?: boolean;
  readonly junit?: string;
  readonly only?: readonly string[];
  readonly level?: readonly string[];
}

/** What `postern-conform pt` takes besides. */
export interface PtOptions extends VerbOptions {
  readonly transports?: string;
  readonly shownOption?: readonly string[];
}

/** What `postern-conform parent` takes besides. */
export interface ParentOptions extends VerbOptions {
  readonly recipe?: string;
}

/** What `postern-conform tc` takes besides. */
export interface TcVerb extends VerbOptions, TcPermissions {
  readonly cookie?: string;
  readonly passwordFile?: string;
  readonly socks?: string;
}

/** `postern-conform pt -- COMMAND [ARG…]` */
export function runPt(
  context: ConformContext,
  command: readonly string[],
  options: PtOptions,
): Promise<number> {
  const only = chosen(options, ptClauses());
  const shownOptions = parseShownOptions(options.shownOption);
  return report(context, command.join(' '), options, (signal, onProgress) =>
    examinePt({
      command: command as [string, ...string[]],
      only,
      signal,
      onProgress,
      ...(options.transports !== undefined && { transports: options.transports.split(',') }),
      ...(shownOptions !== undefined && { shownOptions }),
    }),
  );
}

/** `postern-conform parent -- COMMAND with {pt}`, or a recipe. */
export function runParent(
  context: ConformContext,
  command: readonly string[],
  options: ParentOptions,
): Promise<number> {
  const only = chosen(options, parentClauses());
  const { recipe } = options;
  const launches = recipe === undefined ? [{ template: command }] : recipes.get(recipe);
  if (launches === undefined) {
    throw new UsageError(`--recipe: ${recipe} is none of ${[...recipes.keys()].join(', ')}`);
  }
  if (recipe !== undefined && command.length > 0) {
    throw new UsageError('--recipe and a command cannot be given together');
  }
  if (recipe === undefined && !command.some((word) => word.includes('{pt}'))) {
    throw new UsageError('the command needs {pt} where the path of the PT belongs');
  }
  return report(context, recipe ?? command.join(' '), options, (signal, onProgress) =>
    examineParent({ launches, only, signal, onProgress }),
  );
}

/** `postern-conform tc ADDRESS` */
export async function runTc(
  context: ConformContext,
  text: string,
  options: TcVerb,
): Promise<number> {
  const only = chosen(options, tcClauses());
  const address = parseAddress(text);
  const socksUse = '--socks takes the IP address and the port on which the server listens';
  const socks = options.socks && parseEndpoint(options.socks, socksUse);
  const secret = await readSecret(options);
  return report(context, text, options, (signal, onProgress, tell) =>
    examineTc({
      address,
      only,
      signal,
      onProgress,
      onLeftBehind: (what) => tell(`Not put back: ${what}.`),
      permissions: options,
      ...(socks && { socks }),
      ...(secret !== undefined && { secret }),
    }),
  );
}

/** What the server wants to see, of what there is. */
async function readSecret({
  cookie,
  passwordFile,
}: TcVerb): Promise<TcOptions['secret'] | undefined> {
  if (cookie !== undefined && passwordFile !== undefined) {
    throw new UsageError('only one of --cookie and --password-file can be given');
  }
  if (cookie !== undefined) {
    const bytes = await orUsageError(readFile(cookie), 'the --cookie file cannot be read');
    return { kind: 'cookie', bytes, path: cookie };
  }
  if (passwordFile === undefined) return undefined;
  const what = 'the --password-file cannot be read';
  const text = await orUsageError(readFile(passwordFile, 'utf8'), what);
  // An editor ends the line; the passphrase is without.
  return { kind: 'passphrase', bytes: Buffer.from(text.replace(/\r?\n$/, '')) };
}

function parseAddress(text: string): TcOptions['address'] {
  if (text.startsWith('unix:/')) return { socketPath: text.slice('unix:'.length) };
  const what = 'tc takes an IP address and a port, like 127.0.0.1:9051, or unix:/path';
  return parseEndpoint(text, what);
}

function parseEndpoint(text: string, what: string): Endpoint {
  const endpoint = parseIpEndpoint(text);
  if (endpoint === undefined || endpoint.port === 0) throw new UsageError(what);
  return endpoint;
}

type Examination = (
  signal: AbortSignal,
  onProgress: (done: number, total: number, title: string) => void,
  /** Says something that stays when the progress has gone. */
  tell: (line: string) => void,
) => Promise<readonly ClauseReport[]>;

/** Examines, shows how far it is, and prints what came of it. */
async function report(
  context: ConformContext,
  subject: string,
  options: VerbOptions,
  examine: Examination,
): Promise<number> {
  const { junit } = options;
  // Heard at the end, it would be heard too late.
  const unwritable = 'the --junit file cannot be written';
  if (junit !== undefined) await orUsageError(access(dirname(junit), constants.W_OK), unwritable);
  const display = createDisplay(context.stderr);
  let reports: readonly ClauseReport[];
  try {
    reports = await examine(
      context.signal,
      (done, total, title) =>
        display.status(total === 0 ? title : `${formatBar(done, total)} ${title}`),
      (line) => display.line(line),
    );
  } catch (error) {
    if (!context.signal.aborted) throw error;
    display.line('Given up; everything is cleaned up.');
    return ExitCode.failed;
  } finally {
    display.status('');
  }
  const { stdout } = context;
  stdout.write(
    options.json === true
      ? formatJson(subject, reports)
      : formatTable(reports, {
          columns: stdout.columns ?? 100,
          hasColour: stdout.isTTY === true && context.env['NO_COLOR'] === undefined,
        }),
  );
  if (junit !== undefined) {
    await orUsageError(writeFile(junit, formatJunit(subject, reports)), unwritable);
    display.line(`Wrote ${junit}.`);
  }
  return isConforming(reports) ? ExitCode.ok : ExitCode.failed;
}

async function orUsageError<T>(work: Promise<T>, what: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new UsageError(`${what} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}

/** The ids of the clauses that --only and --level leave. */
function chosen({ only, level }: VerbOptions, all: readonly Clause[]): readonly string[] {
  for (const id of only ?? []) {
    if (!all.some((clause) => clause.id === id)) {
      throw new UsageError(`--only: ${id} is no clause that binds it`);
    }
  }
  const levels = level?.flatMap((word) => {
    const named = levelsNamed(word);
    if (named === undefined) {
      throw new UsageError(`--level: ${word} is none of MUST, FACT, SHOULD and MAY`);
    }
    return named;
  });
  const left = all
    .filter((clause) => only?.includes(clause.id) ?? true)
    .filter((clause) => levels?.includes(clause.level) ?? true);
  if (left.length === 0) throw new UsageError('--only and --level leave no clause to judge');
  return left.map(({ id }) => id);
}

/** `obfs4:iat-mode=1` */
function parseShownOptions(
  texts: readonly string[] | undefined,
): ReadonlyMap<string, string> | undefined {
  return (
    texts &&
    new Map(
      texts.map((text): [string, string] => {
        const match = /^([^:]+):([^=]+=.+)$/.exec(text);
        if (match === null) {
          throw new UsageError(`--shown-option: ${text} is not <transport>:<key>=<value>`);
        }
        return [match[1]!, match[2]!];
      }),
    )
  );
}
