/** Which verb, with which options. Verbs are loaded when they are asked for: start-up time counts. */
import type { Command } from 'commander';
import type { BridgeOptions } from './bridge.ts';
import type { ClientOptions } from './client.ts';
import { addCheck } from './check/command.ts';
import { nearestName } from '../config/near-miss.ts';
import { toAscii } from '../pt/c-string.ts';
import { builtinTransports } from '../transports/registry.ts';
import { version } from '../version.ts';
import type { ControlPlaceOptions } from './control-place.ts';
import { type CommandContext, EXIT_CODES_HELP, ExitCode, hasParent, say } from './context.ts';
import { addControlOptions, addCtl } from './ctl/command.ts';
import type { DemoOptions } from './demo/run.ts';
import type { DashboardVerbOptions } from './dashboard/run.ts';
import type { DoctorOptions } from './doctor/run.ts';
import { type ExecLine, execOptions, parseExecLine } from './exec-line.ts';
import { reportError, UsageError } from './report-error.ts';
import type { RunOptions } from './run.ts';
import { describeProcess } from './status.ts';

/** Runs `postern` with the context's arguments; never throws. */
export async function runCommand(context: CommandContext): Promise<number> {
  try {
    return await chooseAndRun(context);
  } catch (error) {
    const { drain } = context.stop;
    // Asked to end before it had begun: nobody waits for it any more.
    if (drain.aborted && error === drain.reason) return ExitCode.ok;
    return reportError(context, error);
  }
}

async function chooseAndRun(context: CommandContext): Promise<number> {
  const { args, env } = context;
  const isManaged = hasParent(env);
  // A parent's usual way to start a transport: options at most, and a start that costs little.
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
        ? 'one more word is needed; --help lists what there is'
        : error.message.replace(/^error: /, ''),
    );
  }
  return exitCode;
}

/** Started by a parent: whatever the command line says, the protocol is spoken on stdout. */
async function runManaged(context: CommandContext): Promise<number> {
  const options = parseExecLine(context.args);
  if (options.version) return printVersion(context);
  if (options.help) throw new UsageError('help is for people: ask for it in a terminal');
  await addPlugins(options.plugin);
  return (await import('./managed.ts')).run(context, options);
}

/** Not started by a parent, and not told what to do. */
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
  setExitCode: (code: number) => void,
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
    // Commander's own; and what verbs have themselves, from which it would take it.
    if (option.key === 'help' || option.key === 'metrics') continue;
    const names = option.names.map((name) => `${name.length === 1 ? '-' : '--'}${name}`).join(', ');
    const flags = option.value === undefined ? names : `${names} <${option.value}>`;
    if (option.repeats) program.option(flags, option.description, collect);
    else program.option(flags, option.description);
  }

  program
    .command('bridge')
    .description('Run a bridge: take disguised connections and forward them, undisguised.')
    .requiredOption('--listen <address:port>', 'where clients connect to, like 0.0.0.0:443')
    .requiredOption('--forward <host:port>', 'where their connections go, like 127.0.0.1:22')
    .option('--transport <name>', 'the transport', 'obfs4')
    .option(
      '--option <key=value>',
      'an option of the transport, like iat-mode=1; may be repeated',
      collect,
    )
    .option('--url <url>', 'webtunnel: the web server and the secret path, https://host/path')
    .option('--tls-cert <file>', 'webtunnel alone: the chain of certificates, or self-signed')
    .option('--tls-key <file>', 'webtunnel alone: the key of the certificate')
    .option('--site <directory>', 'webtunnel alone: what all others find there')
    .option('--public <address>', 'for the bridge line; again for the other family', collect)
    .option('--state <directory>', 'where the identity is kept (default: by transport and port)')
    .option('--metrics <address:port>', METRICS_HELP)
    .addHelpText(
      'after',
      '\nThe bridge line, which is what clients need, is printed on stdout.' + EXIT_CODES_HELP,
    )
    .action(async (options: BridgeOptions) => {
      setExitCode(await (await import('./bridge.ts')).run(context, options));
    });

  program
    .command('client')
    .description('Connect through a bridge: local connections go, disguised, to where it forwards.')
    .argument('<bridge-line>', "what the bridge printed, in quotes: 'obfs4 192.0.2.3:443 cert=…'")
    .option('--socks <address:port>', 'listen for SOCKS5 and SOCKS4 clients')
    .option('--forward-from <address:port>', 'listen for plain TCP connections')
    .option('--pt <command>', "run another program's transport instead of ours, like obfs4proxy")
    .option('--upstream <uri>', 'leave through a proxy: socks5://, socks4a:// or http://')
    .option('--state <directory>', 'where tickets are kept (default: by transport and port)')
    .option('--metrics <address:port>', METRICS_HELP)
    .addHelpText(
      'after',
      '\nWhere a connection ends is decided by the bridge alone (its --forward). With --socks, any\n' +
        'target that an application asks for is accepted, and the connection goes to the same place.\n' +
        EXIT_CODES_HELP,
    )
    .action(async (bridgeLine: string, options: ClientOptions) => {
      setExitCode(await (await import('./client.ts')).run(context, { ...options, bridgeLine }));
    });

  program
    .command('demo')
    .description('Show it all on this machine: a bridge, a client, a verified transfer, figures.')
    .option('--once', 'exit after the transfer, with 1 if it failed')
    .option('--mb <n>', 'how many megabytes to carry each way', '64')
    .option('--transport <name>', 'the transport', 'obfs4')
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async (options: DemoOptions) => {
      setExitCode(await (await import('./demo/run.ts')).run(context, options));
    });

  program
    .command('run')
    .description('Run the daemon that a torrc describes: a client, a bridge, or a real Tor.')
    .requiredOption('-f, --file <torrc>', 'the configuration; `postern explain` lists the options')
    .option('--verify', 'check the configuration and do nothing else')
    .addHelpText(
      'after',
      '\nSIGHUP loads the torrc again, SIGUSR1 logs what is open, SIGUSR2 logs everything from now\n' +
        'on, SIGINT ends it (a bridge after ShutdownWaitLength), SIGTERM ends it at once.\n' +
        EXIT_CODES_HELP,
    )
    .action(async (options: RunOptions) => {
      setExitCode(await (await import('./run.ts')).run(context, options));
    });

  addCheck(program, context, setExitCode);

  program
    .command('doctor')
    .description('Look for what is wrong with this machine or a torrc, and say what mends it.')
    .option('-f, --file <torrc>', 'look at this configuration, too, and check its bridges')
    .option('--json', 'print JSON instead of lines')
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async (options: DoctorOptions) => {
      setExitCode(await (await import('./doctor/run.ts')).run(context, options));
    });

  addCtl(program, context, setExitCode);

  addControlOptions(program.command('top'))
    .description('Watch a running daemon on the terminal, over its control port.')
    .addHelpText(
      'after',
      '\nKeys: 1-6 or tab the page, / a filter, p pause, s a signal (after a question), q quit.\n' +
        'Where its output is no terminal it prints a line each second.\n' +
        EXIT_CODES_HELP,
    )
    .action(async (options: ControlPlaceOptions) => {
      setExitCode(await (await import('./top/run.ts')).run(context, options));
    });

  addControlOptions(program.command('dashboard'))
    .description('Watch a running daemon in a browser of this machine, over its control port.')
    .option('--listen <address:port>', 'where the page is served, on loopback', '127.0.0.1:0')
    .addHelpText('after', '\nThe address of the page is printed on stdout.\n' + EXIT_CODES_HELP)
    .action(async (options: DashboardVerbOptions) => {
      setExitCode(await (await import('./dashboard/run.ts')).run(context, options));
    });

  program
    .command('hash-password')
    .description('Hash a passphrase, read from stdin, for HashedControlPassword in a torrc.')
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async () => {
      setExitCode(await (await import('./hash-password.ts')).run(context));
    });

  program
    .command('conform', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(() => {
      throw new UsageError(
        '`conform` is a package of its own now: run `npx postern-conform` with the same words',
      );
    });

  program
    .command('explain')
    .description('Tell what an error code, an option of a torrc or a limit means; list them all.')
    .argument('[name...]', 'like ERR_HANDSHAKE_TIMED_OUT or BandwidthRate')
    .action(async (names: string[]) => {
      setExitCode(await (await import('./explain.ts')).run(context, names));
    });

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

/** A daemon and a managed proxy answer in their logs; everything else answers here. */
function answerStatusRequests(context: CommandContext, verb: Command): void {
  context.onSignal('SIGUSR1', () => say(context, `postern ${verb.name()}: ${describeProcess()}`));
}

/** @throws UsageError for a verb that there is not */
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

function collect(value: string, values: readonly string[] = []): readonly string[] {
  return [...values, value];
}

/** Before the verb is run: from then on its transports are like any other. */
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

const METRICS_HELP = 'figures for Prometheus, on this machine alone, like 127.0.0.1:9035';

/** The longest name that there is: scramblesuit. */
const NAME_WIDTH = 12;
