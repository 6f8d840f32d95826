/** The verbs of `postern`: their command lines. What a verb does is loaded when it is asked for. */
import type { Command } from 'commander';
import type { BridgeOptions } from './bridge.ts';
import { addCheck } from './check/command.ts';
import type { ClientOptions } from './client.ts';
import { type CommandContext, EXIT_CODES_HELP } from './context.ts';
import type { ControlPlaceOptions } from './control-place.ts';
import { addControlOptions, addCtl } from './ctl/command.ts';
import type { DashboardVerbOptions } from './dashboard/run.ts';
import type { DemoOptions } from './demo/run.ts';
import type { DoctorOptions } from './doctor/run.ts';
import { UsageError } from './report-error.ts';
import type { RunOptions } from './run.ts';

/** Takes the exit code of a verb. */
export type SetExitCode = (code: number) => void;

/** Adds one verb to the program. */
type AddVerb = (program: Command, context: CommandContext, setExitCode: SetExitCode) => void;

/** Adds all of them, in the order of `--help`. */
export const addVerbs: AddVerb = (program, context, setExitCode) => {
  for (const add of [
    addBridge,
    addClient,
    addDemo,
    addRun,
    addCheck,
    addDoctor,
    addCtl,
    addTop,
    addDashboard,
    addHashPassword,
    addConform,
    addExplain,
  ]) {
    add(program, context, setExitCode);
  }
};

const addBridge: AddVerb = (program, context, setExitCode) => {
  program
    .command('bridge')
    .description('Run a bridge: accept disguised connections and forward them in the clear.')
    .requiredOption('--listen <address:port>', 'where clients connect to, like 0.0.0.0:443')
    .requiredOption('--forward <host:port>', 'where their connections go, like 127.0.0.1:22')
    .option('--transport <name>', 'the transport', 'obfs4')
    .option(
      '--option <key=value>',
      'an option of the transport, like iat-mode=1; may be repeated',
      collect,
    )
    .option('--url <url>', 'webtunnel: the web server and the secret path, https://host/path')
    .option(
      '--tls-cert <file>',
      'webtunnel without a web server in front: its certificates, or self-signed',
    )
    .option('--tls-key <file>', 'the key of that certificate')
    .option(
      '--site <directory>',
      'webtunnel without a web server in front: the pages that visitors see',
    )
    .option(
      '--public <address>',
      "this machine's address in the bridge line; may be repeated, for IPv4 and IPv6",
      collect,
    )
    .option(
      '--state <directory>',
      'where the bridge keeps its keys (default: by transport and port)',
    )
    .option('--metrics <address:port>', METRICS_HELP)
    .addHelpText(
      'after',
      '\nThe bridge line, which is what clients need, is printed on stdout.' + EXIT_CODES_HELP,
    )
    .action(async (options: BridgeOptions) => {
      setExitCode(await (await import('./bridge.ts')).run(context, options));
    });
};

const addClient: AddVerb = (program, context, setExitCode) => {
  program
    .command('client')
    .description(
      'Connect through a bridge: connections to this port come out where the bridge forwards.',
    )
    .argument('<bridge-line>', "what the bridge printed, in quotes: 'obfs4 192.0.2.3:443 cert=…'")
    .option('--socks <address:port>', 'listen for SOCKS5 and SOCKS4 clients')
    .option('--forward-from <address:port>', 'listen for plain TCP connections')
    .option('--pt <command>', "run another program's transport instead of ours, like obfs4proxy")
    .option('--upstream <uri>', 'leave through a proxy: socks5://, socks4a:// or http://')
    .option(
      '--state <directory>',
      'where session tickets are kept (default: by transport and port)',
    )
    .option('--metrics <address:port>', METRICS_HELP)
    .addHelpText(
      'after',
      '\nThe bridge alone decides where connections go (its --forward). With --socks an application may\n' +
        'ask for any target; the connection goes to that one place all the same.\n' +
        EXIT_CODES_HELP,
    )
    .action(async (bridgeLine: string, options: ClientOptions) => {
      setExitCode(await (await import('./client.ts')).run(context, { ...options, bridgeLine }));
    });
};

const addDemo: AddVerb = (program, context, setExitCode) => {
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
};

const addRun: AddVerb = (program, context, setExitCode) => {
  program
    .command('run')
    .description('Run the daemon that a torrc describes: a client, a bridge, or a real Tor.')
    .requiredOption('-f, --file <torrc>', 'the configuration; `postern explain` lists the options')
    .option('--verify', 'check the configuration and do nothing else')
    .addHelpText(
      'after',
      '\nSIGHUP reads the torrc again, SIGUSR1 logs what is open, SIGUSR2 logs everything from now\n' +
        'on, SIGINT ends it (a bridge after ShutdownWaitLength), SIGTERM ends it at once.\n' +
        EXIT_CODES_HELP,
    )
    .action(async (options: RunOptions) => {
      setExitCode(await (await import('./run.ts')).run(context, options));
    });
};

const addDoctor: AddVerb = (program, context, setExitCode) => {
  program
    .command('doctor')
    .description('Look for what is wrong with this machine or a torrc, and say how to mend it.')
    .option('-f, --file <torrc>', 'look at this configuration too, and check its bridges')
    .option('--json', 'print JSON instead of lines')
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async (options: DoctorOptions) => {
      setExitCode(await (await import('./doctor/run.ts')).run(context, options));
    });
};

const addTop: AddVerb = (program, context, setExitCode) => {
  addControlOptions(program.command('top'))
    .description('Watch a running daemon on the terminal, over its control port.')
    .addHelpText(
      'after',
      '\nKeys: 1-6 or Tab change the page, / filters, p pauses, s sends a signal (it asks first),\n' +
        'q quits. Without a terminal it prints a line each second.\n' +
        EXIT_CODES_HELP,
    )
    .action(async (options: ControlPlaceOptions) => {
      setExitCode(await (await import('./top/run.ts')).run(context, options));
    });
};

const addDashboard: AddVerb = (program, context, setExitCode) => {
  addControlOptions(program.command('dashboard'))
    .description('Watch a running daemon in a browser of this machine, over its control port.')
    .option('--listen <address:port>', 'where the page is served, on loopback', '127.0.0.1:0')
    .addHelpText('after', '\nThe address of the page is printed on stdout.\n' + EXIT_CODES_HELP)
    .action(async (options: DashboardVerbOptions) => {
      setExitCode(await (await import('./dashboard/run.ts')).run(context, options));
    });
};

const addHashPassword: AddVerb = (program, context, setExitCode) => {
  program
    .command('hash-password')
    .description('Hash a passphrase, read from stdin, for HashedControlPassword in a torrc.')
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async () => {
      setExitCode(await (await import('./hash-password.ts')).run(context));
    });
};

const addConform: AddVerb = (program) => {
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
};

const addExplain: AddVerb = (program, context, setExitCode) => {
  program
    .command('explain')
    .description('Tell what an error code, an option of a torrc or a limit means; list them all.')
    .argument('[name...]', 'like ERR_HANDSHAKE_TIMED_OUT or BandwidthRate')
    .action(async (names: string[]) => {
      setExitCode(await (await import('./explain.ts')).run(context, names));
    });
};

/** For options that may be repeated. */
export function collect(value: string, values: readonly string[] = []): readonly string[] {
  return [...values, value];
}

const METRICS_HELP = 'figures for Prometheus, on this machine alone, like 127.0.0.1:9035';
