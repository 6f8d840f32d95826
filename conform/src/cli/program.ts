/** The command line: what is examined, and how. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ExaminationError, UsageError } from '../errors.ts';
import { type ConformContext, ExitCode } from './context.ts';
import {
  type ParentOptions,
  type PtOptions,
  runParent,
  runPt,
  runTc,
  type TcVerb,
} from './verbs.ts';

/** Runs the command; never throws. @returns the exit code */
export async function runConform(context: ConformContext): Promise<number> {
  const { args, stderr } = context;
  const at = args.indexOf('--');
  // What is examined has options of its own.
  const [own, examined] = at === -1 ? [args, []] : [args.slice(0, at), args.slice(at + 1)];
  let exitCode: number = ExitCode.ok;
  try {
    const program = buildProgram(context, examined, (code) => {
      exitCode = code;
    });
    await program.parseAsync(own, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.ok;
    if (error instanceof CommanderError || error instanceof UsageError) {
      const isAlone = error instanceof CommanderError && error.code === 'commander.help';
      const what = isAlone ? 'a verb is missing; --help lists them' : error.message;
      stderr.write(`postern-conform: ${what.replace(/^error: /, '')}\n`);
      return ExitCode.usage;
    }
    if (error instanceof ExaminationError) {
      stderr.write(`postern-conform: ${error.message} (${error.code})\n`);
      stderr.write(`  What to do: ${error.remedy}\n`);
      return ExitCode.failed;
    }
    // Not thrown on purpose: whoever mends it needs the stack.
    stderr.write(`postern-conform: ${error instanceof Error ? error.stack : String(error)}\n`);
    return ExitCode.failed;
  }
}

function buildProgram(
  context: ConformContext,
  examined: readonly string[],
  setExitCode: (code: number) => void,
): Command {
  const program = new Command('postern-conform')
    .description('Find out which clauses of a specification a program keeps.')
    .version(ownVersion())
    .helpCommand(false);
  addPt(program).action(async (options: PtOptions) => {
    setExitCode(await runPt(context, examined, options));
  });
  addParent(program).action(async (options: ParentOptions) => {
    setExitCode(await runParent(context, examined, options));
  });
  addTc(program).action(async (address: string, options: TcVerb) => {
    setExitCode(await runTc(context, address, options));
  });
  for (const verb of program.commands) {
    verb
      .option('--only <id>', 'judge only this clause, like TC-3.4-02; may be repeated', collect)
      .option('--level <level>', 'judge only MUST, FACT, SHOULD or MAY; may be repeated', collect)
      .option('--json', 'print JSON instead of a table')
      .option('--junit <file>', 'write JUnit XML as well')
      .addHelpText('after', EXIT_CODES_HELP);
  }
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      // What is wrong is told by `runConform`, as everything else is.
      outputError: () => {},
    });
  }
  return program;
}

function addPt(program: Command): Command {
  return program
    .command('pt')
    .description('Examine a pluggable transport: start it, many times, and play its parent.')
    .usage('[options] -- <program> [argument...]')
    .option('--transports <names>', 'the transports that it has, like obfs4,obfs3')
    .option(
      '--shown-option <transport:key=value>',
      'a server option that shows in its ARGS, like obfs4:iat-mode=1; may be repeated',
      collect,
    );
}

function addParent(program: Command): Command {
  return program
    .command('parent')
    .description('Examine a parent: play its transport, right and wrong.')
    .usage('[options] -- <program> [argument with {pt}...]')
    .option('--recipe <name>', 'start a parent that the kit knows: tor or postern')
    .addHelpText(
      'after',
      '\nIn the command {pt} is the path of the transport, {args} a place for bridge line arguments,\n' +
        '{listen} an address:port for applications, and {dir} an empty directory.',
    );
}

function addTc(program: Command): Command {
  return program
    .command('tc')
    .description('Examine a control server (TC): connect to it, and play its controllers.')
    .argument('<address>', 'address:port or unix:/path of its control port')
    .option('--cookie <file>', 'authenticate with the cookie in this file (control_auth_cookie)')
    .option('--password-file <file>', 'authenticate with the passphrase in this file')
    .option('--socks <address>', 'its SOCKS port; connections through it show more clauses')
    .option('--saveconf', 'let it write its configuration file')
    .option('--reload', 'let it read that file again: changes that were not saved are lost')
    .option('--flood', 'queue up more than 16 MB of events, by connections through --socks')
    .option('--shutdown', 'end it by SIGNAL 0x02, last of all')
    .option('--halt', 'end it by SIGNAL 0x15, last of all')
    .addHelpText(
      'after',
      '\nIt changes a few options that are not in use, or that take effect later, and puts them back, after Ctrl-C' +
        '\ntoo. Anything more it does only with the option that allows it.',
    );
}

/** One value each: what stands behind it is not its own. */
function collect(value: string, values: readonly string[] = []): readonly string[] {
  return [...values, value];
}

const EXIT_CODES_HELP = `
Exit codes:
  0  no MUST, MUST NOT or FACT is broken
  1  one is, or there was no examination; stderr says why
  2  the command line is wrong`;

function ownVersion(): string {
  const manifest = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
