/**
 * A program with one side only: what can be seen of its traffic without a counterpart. A client is asked for
 * what it must refuse, and watched for what it must not do; a server is visited by a stranger.
 */
import { encodeSocksArguments, type Endpoint } from 'postern/pt';
import { describeOutcome, type SocksOutcome } from '../socks.ts';
import { Unjudged } from '../findings.ts';
import type { Connection } from './lab.ts';
import { judgeClient, judgeServer, SERVER_ADDRESS, visit } from './privacy.ts';
import type { PtCheck } from './check.ts';
import { readSocks5 } from '../socks-server.ts';
import { judgeNaming, UNKNOWN_HOST } from './upstream.ts';

/** A list of so many bytes whose only fault, a pair without "=", is at its very end. */
function wrongAtTheEnd(length: number): Buffer {
  return Buffer.from(`pad=${'x'.repeat(length - 'pad=;x'.length)};x`);
}

const malformed: readonly (readonly [what: string, args: Buffer])[] = [
  ['an argument of one byte, without "="', Buffer.from('x')],
  ['an empty key', Buffer.from('a=b;=x')],
  ['a lone backslash', Buffer.from('a=b\\')],
  ...[254, 255, 256, 510].map(
    (length) =>
      [`arguments of ${length} bytes, the last without "="`, wrongAtTheEnd(length)] as const,
  ),
];

const refusing: PtCheck = {
  clauses: 'PT-3.5-05',
  title: 'arguments of 1 to 510 bytes that a client must refuse',
  needs: 'lone client',
  async run(lab) {
    using target = await lab.openTrap();
    await using run = await lab.settled('client');
    for (const [what, args] of malformed) {
      const asked = await lab.ask(run, target.endpoint, args);
      if (asked === undefined) return;
      const { app, outcome } = asked;
      const ending = outcome.isOpen ? 'silent' : await app.ending(lab.patience);
      const isRefused = ending !== 'silent' && target.count === 0;
      lab.judge('PT-3.5-05', isRefused, {
        sent: `a SOCKS request with ${what}`,
        came: `${describeOutcome(outcome)}; the connection: ${ending}; connections to the target: ${target.count}`,
        expected: 'a refusal, the end of the connection, and no connection to the target',
      });
      app.close();
      // Each one that is not refused would take the whole time of patience.
      if (!isRefused) break;
    }
  },
};

const SECRET = 'Hk7-secret-argument';

const discreet: PtCheck = {
  clauses: 'PT-4-01 PT-4-05',
  title: 'addresses and secrets in what a client writes',
  needs: 'lone client',
  async run(lab) {
    await using run = await lab.settled('client');
    const target = { host: SERVER_ADDRESS, port: 9 };
    const args = encodeSocksArguments([['secret', SECRET]]);
    const asked = await lab.ask(run, target, args, lab.quiet);
    if (asked === undefined) return;
    await asked.app.ending(lab.quiet);
    asked.app.close();
    await run.endsWithStdin(lab.patience);
    const sent = `a SOCKS request for an address where nobody is (${describeOutcome(asked.outcome)})`;
    await judgeClient(lab, run, sent, ['secret', SECRET]);
  },
};

const failClosed: PtCheck = {
  clauses: 'PT-3.2.2-04 PT-4-03 PT-4-04',
  title: 'a client and its upstream proxy, watched for bypass',
  needs: 'lone client',
  async run(lab) {
    using upstream = await lab.openTrap();
    using direct = await lab.openTrap();
    const changes = { TOR_PT_PROXY: `socks5://${upstream.address}` };
    await using run = await lab.settled('client', changes);
    if (!run.lines.includes('PROXY DONE')) {
      throw new Unjudged('it takes no SOCKS5 proxy', 'not applicable');
    }
    const none = Buffer.alloc(0);
    const sent = `${run.what}, and a connection`;
    // Refused in the answer to the request: what it was asked for has been seen by then.
    const refuse = async (): Promise<Endpoint | undefined> => {
      const wire = await upstream.accept(lab.quiet);
      const request = wire && (await readSocks5(wire, lab.patience));
      wire?.write(Buffer.of(5, 2, 0, 1, 0, 0, 0, 0, 0, 0));
      return request?.target;
    };
    const [asked, refused] = await Promise.all([lab.ask(run, direct.endpoint, none), refuse()]);
    if (refused === undefined && direct.count === 0) {
      throw new Unjudged(
        'it connects nowhere without arguments, and there is no server to tell them',
      );
    }
    const isClosed = asked !== undefined && !asked.outcome.isOpen && direct.count === 0;
    lab.judge('PT-3.2.2-04 PT-4-04', isClosed && refused !== undefined, {
      sent: `${sent}, which the upstream proxy refuses`,
      came: `${describe(asked)}; ${direct.count} connections past it`,
      expected: 'a request to the upstream proxy, an error, and no connection past it',
    });

    const naming = `${run.what}, and connections to ${UNKNOWN_HOST}`;
    await judgeNaming(lab, naming, run, async () => {
      const target = { host: UNKNOWN_HOST, port: 443 };
      const asking = lab.ask(run, target, none);
      const requested = await Promise.race([refuse(), asking.then(() => undefined)]);
      return { asked: requested, outcome: (await asking)?.outcome ?? NOT_ACCEPTED };
    });

    const hanging = await lab.ask(run, direct.endpoint, none, lab.quiet);
    lab.judge('PT-3.2.2-04 PT-4-04', hanging?.outcome.isOpen !== true && direct.count === 0, {
      sent: `${sent}, while the upstream proxy says nothing`,
      came: `${describe(hanging)}; ${direct.count} connections past it`,
      expected: 'no connection past the upstream proxy',
    });
  },
};

const unseen: PtCheck = {
  clauses: 'PT-4-01 PT-4-02',
  title: 'addresses in what a server writes',
  needs: 'lone server',
  async run(lab) {
    await using run = await lab.settled('server');
    if (!(await visit(lab, run))) return;
    await run.endsWithStdin(lab.patience);
    await judgeServer(lab, run, 'a visit by a stranger');
  },
};

export const loneChecks: readonly PtCheck[] = [refusing, discreet, failClosed, unseen];

/** The SOCKS listener has gone. */
const NOT_ACCEPTED: SocksOutcome = { stage: 'method', answer: 'closed', isOpen: false };

function describe(asked: Connection | undefined): string {
  return asked === undefined ? 'no SOCKS connection' : describeOutcome(asked.outcome);
}
