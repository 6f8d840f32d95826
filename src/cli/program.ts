/** Which verb, with which options. Verbs are loaded when they are asked for: start-up time counts. */
import type { Command } from 'commander';
import type { BridgeOptions } from './bridge.ts';
import type { ClientOptions } from './client.ts';
import { addConform, withoutExamined } from './conform-command.ts';
import { builtinTransports } from '../transports/registry.ts';
import { version } from '../version.ts';
import { type CommandContext, EXIT_CODES_HELP, ExitCode, say } from './context.ts';
import { addCtl } from './ctl-command.ts';
import type { DemoOptions } from './demo.ts';
import type { ManagedOptions } from './managed.ts';
import { reportError, UsageError } from './report-error.ts';
import type { RunOptions } from './run.ts';
import { describeProcess } from './status.ts';

/** Runs `postern` with the context's arguments; never throws. */
export async function runCommand(context: CommandContext): Promise<number> {
  try {
    return await chooseAndRun(context);
  } catch (error) {
    return reportError(context, error);
  }
}

async function chooseAndRun(context: CommandContext): Promise<number> {
  // A parent's usual way to start a transport: no argument, everything in the environment.
  if (isManaged(context) && context.args.length === 0) {
    return (await import('./managed.ts')).run(context, {});
  }
  const { Command, CommanderError } = await import('commander');
  let exitCode: number = ExitCode.ok;
  const program = buildProgram(new Command(), context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(withTwoDashes(program, context), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  }
  return exitCode;
}

/** Whether a parent has launched us as a pluggable transport (PT 3.2.1). */
function isManaged({ env }: CommandContext): boolean {
  // Any of them: a parent that forgets the version list is told so in the parent's own language.
  return ['MANAGED_TRANSPORT_VER', 'CLIENT_TRANSPORTS', 'SERVER_TRANSPORTS'].some(
    (name) => env[`TOR_PT_${name}`] !== undefined,
  );
}

/**
 * obfs4proxy's options have one dash and a long name (`-enableLogging`); torrc lines that were
 * written for it work unchanged. Only as a managed proxy: a verb's options are ours alone.
 */
function withTwoDashes(program: Command, { args }: CommandContext): readonly string[] {
  const verbs = program.commands.map((command) => command.name());
  if (args.some((argument) => verbs.includes(argument))) return withoutExamined(args);
  return args.map((argument) => (/^-[a-zA-Z]{2,}/.test(argument) ? `-${argument}` : argument));
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
        'configured by the TOR_PT_* variables that the parent sets (docs/under-tor.md).',
    )
    .helpOption('-h, --help', 'show this help, or that of a verb')
    .helpCommand(false)
    .option('-V, --version', 'print the version')
    .option('--plugin <module>', 'add the transports of a module; may be repeated', collect)
    .option('--logLevel, --log-level <level>', 'managed: error, warning, notice, info or debug')
    .option('--log-file <name>', 'managed: write a log of that name into the state directory')
    .option('--enableLogging', 'managed: the same with the name postern.log')
    .option('--unsafeLogging, --unsafe-logging', 'managed: do not scrub addresses from the log')
    .addHelpText('after', `${transportsHelp()}\n${EXIT_CODES_HELP}\n\nTry it: postern demo`)
    .allowExcessArguments()
    .hook('preAction', async (_, action) => {
      if (action !== program && action.name() !== 'run') answerStatusRequests(context, action);
      const { plugin = [] } = program.opts<{ plugin?: readonly string[] }>();
      for (const specifier of plugin) await addPlugin(specifier);
    })
    .action(async (options: ManagedOptions & { version?: true }, { args }: Command) => {
      if (args.length > 0) throw new UsageError(`there is no verb ${args[0]}; see postern --help`);
      if (options.version === true) {
        context.stdout.write(`${version}\n`);
      } else if (isManaged(context)) {
        setExitCode(await (await import('./managed.ts')).run(context, options));
      } else {
        // Not started by a parent and not told what to do.
        program.outputHelp({ error: true });
        setExitCode(ExitCode.usage);
      }
    });

  program
    .command('bridge')
    .description('Run a bridge: take disguised connections and forward them, undisguised.')
    .requiredOption('--listen <address:port>', 'where clients connect to, like 0.0.0.0:443')
    .requiredOption('--forward <host:port>', 'where their connections go, like 127.0.0.1:22')
    .option('--transport <name>', 'the transport', 'obfs4')
    .option('--option <key=value...>', 'an option of the transport, like iat-mode=1')
    .option('--state <directory>', 'where the identity is kept (default: by transport and port)')
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
      setExitCode(await (await import('./demo.ts')).run(context, options));
    });

  program
    .command('run')
    .description('Run the daemon that a torrc describes: a client, a bridge, or a real Tor.')
    .requiredOption('-f, --file <torrc>', 'the configuration; docs/OPTIONS.md lists the options')
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

  addCtl(program, context, setExitCode);

  program
    .command('hash-password')
    .description('Hash a passphrase, read from stdin, for HashedControlPassword in a torrc.')
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async () => {
      setExitCode(await (await import('./hash-password.ts')).run(context));
    });

  addConform(program, context, setExitCode);

  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
    });
  }
  return program;
}

/** A daemon and a managed proxy answer in their logs; everything else answers here. */
function answerStatusRequests(context: CommandContext, verb: Command): void {
  context.onSignal('SIGUSR1', () => say(context, `postern ${verb.name()}: ${describeProcess()}`));
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

function collect(value: string, values: readonly string[] = []): readonly string[] {
  return [...values, value];
}

/** Before the verb is run: from then on its transports are like any other. */
async function addPlugin(specifier: string): Promise<void> {
  const { loadPlugin } = await import('./plugin.ts');
  for (const transport of await loadPlugin(specifier)) builtinTransports.register(transport);
}

function transportsHelp(): string {
  const rows = [...builtinTransports].map(
    ({ name, summary }) => `  ${name.padEnd(NAME_WIDTH)}  ${summary}`,
  );
  return ['', 'Transports:', ...rows].join('\n');
}

/** The longest name that there is: scramblesuit. */
const NAME_WIDTH = 12;
