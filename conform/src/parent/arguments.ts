/** What a parent says to the PT's SOCKS listener: the protocol, and the arguments in it. */
import type { Findings } from '../findings.ts';
import { shown } from '../findings.ts';
import type { Allowance } from '../patience.ts';
import { type Credentials, readCredentials, readMethods, readSocks4 } from '../socks-server.ts';
import { perform } from './performance.ts';
import type { Script } from './scripts.ts';
import type { ParentRun } from './run.ts';

/** One conversation. */
export interface Conversation {
  readonly clauses: string;
  /** The bridge line's arguments. */
  readonly args: string;
  /** The list that they must arrive as. */
  readonly list: string;
  readonly protocol?: 'socks4';
  /** The method to choose, where it is not the right one. */
  readonly method?: number;
}

/** A pair whose list has so many bytes. */
function sized(clauses: string, bytes: number): Conversation {
  const list = `pad=${'x'.repeat(bytes - 'pad='.length)}`;
  return { clauses, args: list, list };
}

const both = 'shared-secret=rahasia secrets-file=/tmp/blob';
const bothJoined = 'shared-secret=rahasia;secrets-file=/tmp/blob';

export const conversations: readonly Conversation[] = [
  { clauses: 'PT-3.5-02 PT-3.5-04 PT-3.5-08 PT-3.5-09 PT-3.3.2-10', args: both, list: bothJoined },
  {
    clauses: 'PT-3.5-03',
    args: String.raw`key=c;d\e`,
    list: String.raw`key=c\;d\\e`,
  },
  { clauses: 'PT-3.5-03', args: 'key=a=b', list: String.raw`key=a\=b` },
  sized('PT-3.5-09', 100),
  sized('PT-3.5-09', 254),
  sized('PT-3.5-10', 255),
  sized('PT-3.5-11', 256),
  sized('PT-3.5-11', 510),
  { clauses: 'PT-3.5-06 PT-3.3.2-10 PT-3.5-02', args: both, list: bothJoined, protocol: 'socks4' },
  { clauses: 'PT-3.5-06', args: '', list: '', protocol: 'socks4' },
  { clauses: 'PT-3.5-07', args: both, list: bothJoined, method: 0x00 },
  { clauses: 'PT-3.5-07', args: both, list: bothJoined, method: 0xff },
];

/** One list too long for SOCKS5. */
export const overlong: Conversation = sized('PT-3.5-12', 511);

/** Starts the PT with the first transport alone, which is the one that the arguments are for. */
export function announce(run: ParentRun, { protocol = 'socks5' }: { protocol?: string }): void {
  const script: Script = {
    title: 'a plain start',
    clauses: '',
    role: 'client',
    expected: 'accepted',
    says: [`VERSION 1\nCMETHOD $NAME ${protocol} $SOCKS\nCMETHODS DONE\n`],
  };
  perform(run, script);
}

/** Takes the parent's connection and judges what it says. */
export async function converse(
  findings: Findings,
  run: ParentRun,
  conversation: Conversation,
  { patience, quiet }: { readonly patience: Allowance; readonly quiet: Allowance },
): Promise<void> {
  const { clauses, list, protocol, method } = conversation;
  const sent = `a bridge line with ${shown(conversation.args) || 'no arguments'}`;
  const wire = await run.conversation(patience);
  if (wire === undefined) {
    const judge = findings.on(sent, 'no connection to the PT');
    judge(clauses, false, `the list ${shown(list)}`);
    return;
  }
  if (protocol === 'socks4') {
    const userId = (await readSocks4(wire, patience))?.username;
    const came = userId === undefined ? 'no request of SOCKS 4' : `USERID ${shown(userId)}`;
    const judge = findings.on(`${sent}, and CMETHOD with socks4`, came);
    judge(clauses, userId === list, `a request of SOCKS 4 with the USERID ${shown(list)}`);
    return;
  }
  const methods = await readMethods(wire, patience);
  if (methods === undefined) {
    findings.on(sent, 'no greeting of SOCKS 5')(clauses, false, 'a greeting of SOCKS 5');
    return;
  }
  const judgeMethods = findings.on(sent, `the methods ${[...methods].join(', ')}`);
  judgeMethods('PT-3.5-07', methods.includes(2), 'the method 2, username and password');
  if (method !== undefined) {
    wire.write(Buffer.of(5, method));
    const isMore = Buffer.isBuffer(await wire.take(1, quiet));
    findings.judge(clauses, !isMore, {
      sent: `${sent}; the PT chose the method ${method}, which reads no arguments`,
      came: isMore ? 'a request without the arguments' : 'nothing more',
      expected: 'the end of the connection: the arguments must not be lost',
    });
    return;
  }
  wire.write(Buffer.of(5, 2));
  const fields = await readCredentials(wire, patience);
  const bytes = Buffer.from(list);
  const username = bytes.subarray(0, 255).toString('latin1');
  const password = bytes.subarray(255).toString('latin1') || '\0';
  findings.judge(clauses, fields?.username === username && fields.password === password, {
    sent,
    came: fields === undefined ? 'no username and password' : describe(fields),
    expected: `UNAME ${shown(username)}, PASSWD ${shown(password)}`,
  });
}

function describe({ username, password }: Credentials): string {
  return `UNAME ${shown(username)} (${username.length}), PASSWD ${shown(password)} (${password.length})`;
}
