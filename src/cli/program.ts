/** Which verb, with which options. Verbs are loaded when they are asked for: start-up time counts. */
import type { Command } from 'commander';
import { nearestName } from '../config/near-miss.ts';
import { toAscii } from '../pt/c-string.ts';
import { builtinTransports } from '../transports/registry.ts';
import { version } from '../version.ts';
import { type CommandContext, EXIT_CODES_HELP, ExitCode, hasParent, say } from './context.ts';
import { type ExecLine, execOptions, parseExecLine } from './exec-line.ts';
import { reportError, UsageError } from './report-error.ts';
import { describeProcess } from './status.ts';
import { addVerbs, collect, type SetExitCode } from './verbs.ts';

/** Runs `postern` with the context's arguments; never throws. */
export async function runCommand(context: CommandContext): Promise<number> {
  try {
    return await chooseAndRun(context);
  } catch (error) {
    const { drain } = context.stop;
    // Told to end before it had begun: that is no failure.
    if (drain.aborted && error === drain.reason) return ExitCode.ok;
    return reportError(context, error);
  }
}

async function chooseAndRun(context: CommandContext): Promise<number> {
  const { args, env } = context;
  const isManaged = hasParent(env);
  // How parents usually start a transport: with options at most. commander is not loaded for it, to start quickly.
  if (isManaged && !/^[^-]/.test(args[0] ?? '')) return runManaged(context);
  const { Command, CommanderError } = await import('commander');
  let exitCode: number = ExitCode.ok;
  const program = buildProgram(new Command(), context, (code) => {
    exitCode = code;
  });
  const verbs = program.commands.map((command) => command.name());
  // Under a parent a verb stands first or nowhere: behind an option it may be what Go's rules ignore.
  if (!(isManaged ? args.slice(0, 1) : args).some((word) => verbs.includes(word))) {
    return isManaged ? runManaged(context) : runWithoutVerb(context, program);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return ExitCode.ok;
    throw new UsageError(
      error.code === 'commander.help'
        ? 'a verb is missing; --help lists them'
        : error.message.replace(/^error: /, ''),
    );
  }
  return exitCode;
}

/** Started by a parent: stdout carries the protocol, whatever the command line says. */
async function runManaged(context: CommandContext): Promise<number> {
  const options = parseExecLine(context.args);
  if (options.version) return printVersion(context);
  if (options.help) throw new UsageError('help is for people: ask for it in a terminal');
  await addPlugins(options.plugin);
  return (await import('./managed.ts')).run(context, options);
}

/** Neither started by a parent nor given a verb. */
async function runWithoutVerb(context: CommandContext, program: Command): Promise<number> {
  const options = parseExecLine(context.args);
  await addPlugins(options.plugin);
  const [word] = options.ignored;
  if (word !== undefined) throw new UsageError(noVerb(word, program));
  if (options.version) return printVersion(context);
  program.outputHelp({ error: options.help !== true });
  return options.help ? ExitCode.ok : ExitCode.usage;
}

function printVersion(context: CommandContext): number {
  context.stdout.write(`${version}\n`);
  return ExitCode.ok;
}

function buildProgram(
  program: Command,
  context: CommandContext,
  setExitCode: SetExitCode,
): Command {
  program
    .name('postern')
    .description(
      'Pluggable transports: carry any TCP connection in a disguise.\n\n' +
        'Without a verb it is a pluggable transport proxy for tor or another parent, ' +
        'configured by the TOR_PT_* variables that the parent sets.',
    )
    .helpOption('-h, --help', 'show this help, or that of a verb')
    .helpCommand(false)
    .addHelpText(
      'after',
      `${MANAGED_METRICS_HELP}\n${transportsHelp()}\n${EXIT_CODES_HELP}\n\nTry it: postern demo`,
    )
    .hook('preAction', async (_, action) => {
      if (action.name() !== 'run') answerStatusRequests(context, action);
      await addPlugins(program.opts<ExecLine>().plugin);
    });
  for (const option of execOptions) {
    // --help is commander's own; --metrics belongs to verbs, and commander would take it away from them.
    if (option.key === 'help' || option.key === 'metrics') continue;
    const names = option.names.map((name) => `${name.length === 1 ? '-' : '--'}${name}`).join(', ');
    const flags = option.value === undefined ? names : `${names} <${option.value}>`;
    if (option.repeats) program.option(flags, option.description, collect);
    else program.option(flags, option.description);
  }

  addVerbs(program, context, setExitCode);
  program
    .command('help')
    .description('Show this help, or that of a verb.')
    .argument('[verb...]', 'like client, or ctl events')
    .action((words: string[]) => findVerb(program, words).outputHelp());

  program
    .command('version')
    .description('Print the version.')
    .action(() => setExitCode(printVersion(context)));

  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      // A parent shows what it reads as ASCII, and `?` for the rest.
      writeOut: (text) => context.stdout.write(hasParent(context.env) ? toAscii(text) : text),
      writeErr: (text) => context.stderr.write(text),
      // What is wrong is told by reportError, as everything else is.
      outputError: () => {},
    });
  }
  return program;
}

/** Answers SIGUSR1 on stderr; a daemon and a managed proxy answer in their logs. */
function answerStatusRequests(context: CommandContext, verb: Command): void {
  context.onSignal('SIGUSR1', () => say(context, `postern ${verb.name()}: ${describeProcess()}`));
}

/** @throws UsageError for a verb that does not exist */
function findVerb(program: Command, words: readonly string[]): Command {
  let found = program;
  for (const word of words) {
    const next = found.commands.find((command) => command.name() === word);
    if (next === undefined) throw new UsageError(noVerb(word, found));
    found = next;
  }
  return found;
}

function noVerb(word: string, { commands }: Command): string {
  const near = nearestName(
    word,
    commands.map((command) => command.name()),
  );
  return `there is no verb ${word.slice(0, 40)}; ${near === undefined ? 'see postern help' : `did you mean ${near}?`}`;
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** Before the verb is run: from then on a plugin's transports are like any other. */
async function addPlugins(specifiers: readonly string[] = []): Promise<void> {
  for (const specifier of specifiers) {
    const { loadPlugin } = await import('./plugin.ts');
    for (const transport of await loadPlugin(specifier)) builtinTransports.register(transport);
  }
}

function transportsHelp(): string {
  const rows = [...builtinTransports].map(
    ({ name, summary }) => `  ${name.padEnd(NAME_WIDTH)}  ${summary}`,
  );
  return ['', 'Transports:', ...rows].join('\n');
}

const MANAGED_METRICS_HELP =
  '\nmanaged: --metrics <address:port> serves figures for Prometheus on this machine, as in bridge.';

/** The longest name that there is: scramblesuit. */
const NAME_WIDTH = 12;
