/** `postern conform`: which clauses of the specification does a program keep? */
import { access, constants, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import type { Clause } from '../conform/clauses.ts';
import type { ClauseReport } from '../conform/findings.ts';
import { examineParent, parentClauses } from '../conform/parent/index.ts';
import { recipes } from '../conform/parent/recipes.ts';
import { examinePt, ptClauses } from '../conform/pt/index.ts';
import {
  formatJson,
  formatJunit,
  formatTable,
  isConforming,
  levelsNamed,
} from '../conform/report.ts';
import { examineTc, tcClauses } from '../conform/tc/index.ts';
import type { Endpoint } from '../pt/address.ts';
import { parseControlAddress, parseListenAddress } from './arguments.ts';
import { type CommandContext, ExitCode, say } from './context.ts';
import { type ControlSecretOptions, readControlSecret } from './control-secret.ts';
import { createDisplay, formatBar } from './display.ts';
import { UsageError } from './report-error.ts';

/** What all of its verbs take. */
export interface ConformOptions {
  readonly json?: boolean;
  readonly junit?: string;
  readonly only?: readonly string[];
  readonly level?: readonly string[];
}

/** What `postern conform pt` takes besides. */
export interface ConformPtOptions extends ConformOptions {
  readonly transports?: string;
  readonly shownOption?: readonly string[];
}

/** What `postern conform parent` takes besides. */
export interface ConformParentOptions extends ConformOptions {
  readonly recipe?: string;
}

/** What `postern conform tc` takes besides. */
export interface ConformTcOptions extends ConformOptions, ControlSecretOptions {
  readonly socks?: string;
  readonly saveconf?: true;
  readonly reload?: true;
  readonly flood?: true;
  readonly shutdown?: true;
  readonly halt?: true;
}

/** `postern conform pt -- COMMAND [ARG…]` */
export function runPt(
  context: CommandContext,
  command: readonly string[],
  options: ConformPtOptions,
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

/** `postern conform parent -- COMMAND with {pt}`, or a recipe. */
export function runParent(
  context: CommandContext,
  command: readonly string[],
  options: ConformParentOptions,
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

/** `postern conform tc ADDRESS` */
export async function runTc(
  context: CommandContext,
  text: string,
  options: ConformTcOptions,
): Promise<number> {
  const only = chosen(options, tcClauses());
  const address = parseControlAddress('conform tc', text);
  const socks = options.socks === undefined ? undefined : parseSocks(options.socks);
  const secret = await readControlSecret(options);
  const { cookie, saveconf, reload, flood, shutdown, halt } = options;
  return report(context, text, options, (signal, onProgress, tell) =>
    examineTc({
      address,
      only,
      signal,
      onProgress,
      onLeftBehind: (what) => tell(`Not put back: ${what}.`),
      permissions: {
        saveConf: saveconf === true,
        reload: reload === true,
        flood: flood === true,
        shutdown: shutdown === true,
        halt: halt === true,
      },
      ...(socks !== undefined && { socks }),
      ...(secret !== undefined && {
        secret:
          typeof secret === 'string'
            ? { kind: 'passphrase', bytes: Buffer.from(secret) }
            : { kind: 'cookie', bytes: secret, path: cookie! },
      }),
    }),
  );
}

function parseSocks(text: string): Endpoint {
  const endpoint = parseListenAddress('--socks', text);
  if (endpoint.port === 0)
    throw new UsageError('--socks takes the port on which the server listens');
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
  context: CommandContext,
  subject: string,
  options: ConformOptions,
  examine: Examination,
): Promise<number> {
  const { junit } = options;
  // Heard at the end, it would be heard too late.
  if (junit !== undefined) await orUsageError(access(dirname(junit), constants.W_OK));
  const display = createDisplay(context.stderr);
  let reports: readonly ClauseReport[];
  try {
    reports = await examine(
      context.stop.drain,
      (done, total, title) =>
        display.status(total === 0 ? title : `${formatBar(done, total)} ${title}`),
      (line) => display.line(line),
    );
  } catch (error) {
    if (!context.stop.drain.aborted) throw error;
    display.line('Given up; nothing is left of it.');
    return ExitCode.failed;
  } finally {
    display.status('');
  }
  const output = context.stdout as Writable & { isTTY?: boolean; columns?: number };
  const isTerminal = output.isTTY === true;
  output.write(
    options.json === true
      ? formatJson(subject, reports)
      : formatTable(reports, {
          columns: output.columns ?? 100,
          hasColour: isTerminal && context.env['NO_COLOR'] === undefined,
        }),
  );
  if (junit !== undefined) {
    await orUsageError(writeFile(junit, formatJunit(subject, reports)));
    say(context, `Wrote ${junit}.`);
  }
  return isConforming(reports) ? ExitCode.ok : ExitCode.failed;
}

async function orUsageError(written: Promise<void>): Promise<void> {
  try {
    await written;
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new UsageError(`the --junit file cannot be written (${errno})`);
  }
}

/** The ids of the clauses that --only and --level leave. */
function chosen({ only, level }: ConformOptions, all: readonly Clause[]): readonly string[] {
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
