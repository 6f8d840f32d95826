/** What must not be found in anything that the program writes. */
import { encodeSocksArguments } from 'postern/pt';
import { Unjudged } from '../findings.ts';
import type { PtLab } from './lab.ts';
import type { Run } from './run.ts';
import { Pair } from './pair.ts';
import type { PtCheck } from './check.ts';

/** Loopback addresses that nothing else has. */
const CLIENT_ADDRESS = '127.77.88.99';
export const SERVER_ADDRESS = '127.66.55.44';

export const privacyChecks: readonly PtCheck[] = [
  {
    clauses: 'PT-4-01 PT-4-02 PT-4-05',
    title: 'addresses and secrets in what is written',
    needs: 'pair',
    async run(lab) {
      if (process.platform !== 'linux') {
        throw new Unjudged('this system has no second loopback address to recognise');
      }
      await using pair = await Pair.open(lab, { serverHost: SERVER_ADDRESS });
      const connection = await pair.connect();
      const isCarried = await pair.carries(connection, 'a message');
      // A handshake that fails, and a target where nobody is.
      await visit(lab, pair.server);
      await pair.connect({ target: { host: SERVER_ADDRESS, port: 9 } });
      const [[key, value] = ['', '']] = pair.args;
      if (value !== '') await pair.connect({ args: encodeSocksArguments([[key, `${value}x`]]) });
      for (const run of [pair.client, pair.server]) {
        await run.endsWithStdin(lab.patience);
      }
      const sent = `a session (${Pair.describe(connection, isCarried)}), a stranger, a wrong target`;
      await judgeServer(lab, pair.server, sent);
      await judgeClient(lab, pair.client, sent, [key, value]);
    },
  },
];

/** Comes to a server from CLIENT_ADDRESS, and does not speak its transport. @returns whether it accepted */
export async function visit(lab: PtLab, server: Run): Promise<boolean> {
  using stranger = await lab.dial(server, lab.mainName('server'), CLIENT_ADDRESS);
  stranger?.write('not this transport');
  stranger?.socket.end();
  await stranger?.ending(lab.quiet);
  return stranger !== undefined;
}

/** Judges what a server wrote that was visited from CLIENT_ADDRESS. */
export async function judgeServer(lab: PtLab, run: Run, sent: string): Promise<void> {
  const what = 'the client’s address';
  const onDisk = (where: string): boolean => where.startsWith('/');
  await judgeWritten(lab, 'PT-4-02', run, CLIENT_ADDRESS, { sent, what }, onDisk);
  await judgeWritten(lab, 'PT-4-01', run, CLIENT_ADDRESS, { sent, what });
}

/** Judges what a client wrote that was asked for SERVER_ADDRESS with an argument. */
export async function judgeClient(
  lab: PtLab,
  run: Run,
  sent: string,
  [key, value]: readonly [string, string],
): Promise<void> {
  const address = { sent, what: 'the server’s address' };
  await judgeWritten(lab, 'PT-4-05', run, SERVER_ADDRESS, address);
  if (value.length < RECOGNISABLE_LENGTH) return;
  const argument = { sent, what: `the argument ${key}` };
  await judgeWritten(lab, 'PT-4-01 PT-4-05', run, value, argument);
}

async function judgeWritten(
  lab: PtLab,
  clauses: string,
  run: Run,
  text: string,
  { sent, what }: { readonly sent: string; readonly what: string },
  isCounted: (where: string) => boolean = () => true,
): Promise<void> {
  const found: string[] = [];
  for await (const { where, text: written } of run.written()) {
    if (isCounted(where) && written.includes(text)) {
      found.push(where.replace(run.sandbox.root, '').replace(/^\//, ''));
    }
  }
  lab.judge(clauses, found.length === 0, {
    sent,
    came: found.length === 0 ? `${what} nowhere` : `${what} in ${found.join(', ')}`,
    expected: `${what} in nothing that is written`,
  });
}

/** A shorter value may stand somewhere by chance. */
const RECOGNISABLE_LENGTH = 8;
