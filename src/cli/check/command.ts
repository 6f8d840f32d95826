/** The command line of `postern check`. */
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import type { CheckVerbOptions } from './run.ts';

/** Adds `check` to the program. */
export function addCheck(
  program: Command,
  context: CommandContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('check')
    .description('Find out whether bridge lines work, and if not, what is in the way.')
    .argument('[line...]', 'bridge lines, each in quotes; - reads them from stdin')
    .option('-f, --file <file>', 'read bridge lines from a file, one a line')
    .option('--tor', 'connect to the Tor behind each bridge, and compare its fingerprint')
    .option('--traffic <bytes>', 'with --tor: send so many bytes of padding, like 100000')
    .option('--pt <command>', "use another program's transports instead of ours, like obfs4proxy")
    .option('--upstream <uri>', 'leave through a proxy: socks5://, socks4a:// or http://')
    .option('--clock-from <url>', "compare this machine's clock with a web server's")
    .option('--timeout <seconds>', 'how long each step may take', '30')
    .option('--show-addresses', 'show the addresses of the bridges')
    .option('--json', 'print JSON instead of a table')
    .addHelpText(
      'after',
      '\nA bridge works when the handshake of its transport succeeds. Only --tor looks at what is\n' +
        'behind it.\n\n' +
        'Exit codes:\n' +
        '  0  all work, or it was told to stop\n' +
        '  1  some do not\n' +
        '  2  a line or an option cannot be read',
    )
    .action(async (lines: string[], options: CheckVerbOptions) => {
      setExitCode(await (await import('./run.ts')).run(context, lines, options));
    });
}
