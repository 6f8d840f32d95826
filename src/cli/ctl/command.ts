/** The command line of `postern ctl`: its verbs, each with what it asks the server. */
import type { Command } from 'commander';
import { type CommandContext, EXIT_CODES_HELP } from '../context.ts';
import type { CtlOptions, CtlRequest } from './run.ts';

/** Adds `ctl` to the program. */
export function addCtl(
  program: Command,
  context: CommandContext,
  setExitCode: (code: number) => void,
): void {
  const ctl = program
    .command('ctl')
    .description('Control a running daemon over its control port (TC).')
    .helpCommand(false);
  addControlOptions(ctl)
    .option('--json', 'print JSON instead of tables')
    .addHelpText('afterAll', EXIT_CODES_HELP);

  const perform = async (request: CtlRequest): Promise<void> => {
    const { run } = await import('./run.ts');
    setExitCode(await run(context, ctl.opts<CtlOptions>(), request));
  };

  ctl
    .command('status')
    .description('Show on one screen what runs.')
    .action(() => perform({ verb: 'status' }));
  ctl
    .command('getconf')
    .description('Print the values in force of options, defaults included.')
    .argument('<key...>', 'options, like SocksPort')
    .action((keys: string[]) => perform({ verb: 'getconf', keys }));
  ctl
    .command('setconf')
    .description('Change options, all of them or none; a key without a value goes to its default.')
    .argument('<key[=value]...>', 'like BandwidthRate="1 MB"; a list takes its key several times')
    .action((settings: string[]) => perform({ verb: 'setconf', settings }));
  ctl
    .command('events')
    .description('Print events until Ctrl-C.')
    .argument('[kind...]', 'circuit, stream, or-connection, bandwidth, log (default: all)')
    .action((kinds: string[]) => perform({ verb: 'events', kinds }));
  ctl
    .command('saveconf')
    .description('Write the configuration in force into the torrc.')
    .action(() => perform({ verb: 'saveconf' }));
  ctl
    .command('signal')
    .description('Tell the daemon to reload, shutdown, dump, debug or halt.')
    .argument('<name>', 'one of these, or HUP, INT, USR1, USR2, TERM')
    .action((name: string) => perform({ verb: 'signal', name }));
  ctl
    .command('mapaddress')
    .description('Send streams for one address to another; to undo it, map the address to itself.')
    .argument('<from>', 'an address; 0.0.0.0, :: or . for one that the daemon picks')
    .argument('<to>', 'the address that they go to')
    .action((from: string, to: string) => perform({ verb: 'mapaddress', from, to }));
  ctl
    .command('mappings')
    .description('Print the mappings of addresses in force.')
    .action(() => perform({ verb: 'mappings' }));
}

/** The options that say where a daemon is controlled, and what opens it. */
export function addControlOptions(verb: Command): Command {
  return verb
    .option(
      '--control <address>',
      'address:port or unix:/path (default: from the torrc, else 127.0.0.1:9051)',
    )
    .option('-f, --file <torrc>', 'find control port and cookie in the torrc of the daemon')
    .option(
      '--cookie <file>',
      'authenticate with the cookie in this file (default: the usual file, if it exists)',
    )
    .option('--password-file <file>', 'authenticate with the passphrase in this file');
}
