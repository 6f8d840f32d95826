/** The verbs of `postern conform`, and where the command begins that they examine. */
import type { Command } from 'commander';
import type { ConformParentOptions, ConformPtOptions, ConformTcOptions } from './conform.ts';
import { type CommandContext, EXIT_CODES_HELP } from './context.ts';
import { UsageError } from './report-error.ts';

/** Adds `conform pt`, `conform parent` and `conform tc`. */
export function addConform(
  program: Command,
  context: CommandContext,
  setExitCode: (code: number) => void,
): void {
  const conform = program
    .command('conform')
    .description('Find out which clauses of a specification a program keeps.');

  withReportOptions(conform.command('pt'))
    .description('Examine a pluggable transport: start it, many times, and play its parent.')
    .usage('[options] -- <program> [argument...]')
    .option('--transports <names>', 'the transports that it has, like obfs4,obfs3')
    .option(
      '--shown-option <transport:key=value...>',
      'a server option that shows in its ARGS, like obfs4:iat-mode=1',
    )
    .action(async (options: ConformPtOptions) => {
      const examined = examinedCommand(context.args);
      if (examined.length === 0) throw new UsageError('the program to examine belongs behind --');
      setExitCode(await (await import('./conform.ts')).runPt(context, examined, options));
    });

  withReportOptions(conform.command('parent'))
    .description('Examine a parent: play its transport, right and wrong.')
    .usage('[options] -- <program> [argument with {pt}...]')
    .option('--recipe <name>', 'start a parent that is known: tor or postern')
    .addHelpText(
      'after',
      '\nIn the command {pt} is the path of the transport, {args} a place for bridge line arguments,\n' +
        '{listen} an address:port for applications, and {dir} an empty directory.',
    )
    .action(async (options: ConformParentOptions) => {
      const examined = examinedCommand(context.args);
      setExitCode(await (await import('./conform.ts')).runParent(context, examined, options));
    });

  withReportOptions(conform.command('tc'))
    .description('Examine a control server (TC): connect to it, and play its controllers.')
    .argument('<address>', 'address:port or unix:/path of its control port')
    .option('--cookie <file>', 'prove it with the cookie in this file (control_auth_cookie)')
    .option('--password-file <file>', 'prove it with the passphrase in this file')
    .option('--socks <address>', 'its SOCKS port; connections through it show more clauses')
    .option('--saveconf', 'let it write its configuration file')
    .option('--reload', 'let it read that file again: changes that were not saved are lost')
    .option('--flood', 'queue up more than 16 MB of events, by connections through --socks')
    .option('--shutdown', 'end it by SIGNAL 0x02, last of all')
    .option('--halt', 'end it by SIGNAL 0x15, last of all')
    .addHelpText(
      'after',
      '\nOptions that it changes for a moment are not in use, or change nothing at once; they are put back,' +
        '\nalso after Ctrl-C. What needs more is done only with the option that allows it.',
    )
    .action(async (address: string, options: ConformTcOptions) => {
      setExitCode(await (await import('./conform.ts')).runTc(context, address, options));
    });
}

/** Our own part of a command line: what `conform` examines has options of its own. */
export function withoutExamined(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--');
  const own = args.slice(0, at === -1 ? args.length : at);
  return own.includes('conform') ? own : args;
}

function examinedCommand(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--');
  return at === -1 ? [] : args.slice(at + 1);
}

/** What every verb of `conform` takes. */
function withReportOptions(command: Command): Command {
  return command
    .option('--only <id...>', 'judge these clauses alone, like PT-3.3.1-06 or TC-3.4-02')
    .option('--level <level...>', 'judge clauses of these levels: MUST, FACT, SHOULD, MAY')
    .option('--json', 'print JSON instead of a table')
    .option('--junit <file>', 'write JUnit XML as well')
    .addHelpText(
      'after',
      '\nThe exit code is 0 when no MUST, MUST NOT or FACT is broken (docs/conform.md).' +
        EXIT_CODES_HELP,
    );
}
