/** Upstream proxies: the kit plays them, and watches whether anything gets past them. */
import { type Endpoint, formatEndpoint } from 'postern/pt';
import type { Run, Variables } from './run.ts';
import { nameServers } from '../sandbox.ts';
import { describeOutcome, type SocksOutcome } from '../socks.ts';
import { type Asked, readSocks4, readSocks5 } from '../socks-server.ts';
import type { Time } from '../patience.ts';
import { dialWire, type Trap, type Wire } from '../wire.ts';
import { Pair } from './pair.ts';
import type { PtCheck } from './check.ts';
import type { PtLab } from './lab.ts';

type Kind = 'socks5' | 'socks4a' | 'http';

const USERNAME = 'us@er';
const PASSWORD = 'p:w';

/** What the URI says, and the user that must come out of it. */
const userOf: Readonly<Record<Kind, { readonly info: string; readonly expected: string }>> = {
  socks5: { info: 'us%40er:p%3Aw@', expected: `${USERNAME} ${PASSWORD}` },
  socks4a: { info: '', expected: ' ' },
  http: { info: 'us%40er:p%3Aw@', expected: `${USERNAME} ${PASSWORD}` },
};

const working: readonly PtCheck[] = (['socks5', 'socks4a', 'http'] as const).map((kind) => ({
  clauses: 'PT-3.2.2-04 PT-3.2.2-06 PT-3.3.2-03 PT-4-03 PT-4-04',
  title: `an upstream proxy of type ${kind} that works`,
  needs: 'pair',
  async run(lab) {
    using upstream = await lab.openTrap();
    using direct = await lab.openTrap();
    const changes = { TOR_PT_PROXY: `${kind}://${userOf[kind].info}${upstream.address}` };
    await using pair = await openWith(lab, changes);
    // A program may choose which types it takes.
    if (pair === undefined) return;
    const sent = `${pair.client.what}, and a connection`;
    const connecting = pair.connect({ target: direct.endpoint });
    const asked = await serveUpstream(upstream, kind, lab.patience, pair.serverEndpoint);
    const connection = await connecting;
    const isCarried = asked !== undefined && (await pair.carries(connection, `by ${kind}`));
    const came =
      asked === undefined
        ? 'nothing understandable at the upstream proxy'
        : `a request for ${formatEndpoint(asked.target)}; ${Pair.describe(connection, isCarried)}`;
    const isRightTarget =
      asked !== undefined && formatEndpoint(asked.target) === formatEndpoint(direct.endpoint);
    lab.judge('PT-3.2.2-04 PT-3.3.2-03', isRightTarget && isCarried && direct.count === 0, {
      sent,
      came: `${came}; ${direct.count} connections past it`,
      expected: 'every connection through the upstream proxy, to the right destination',
    });
    lab.judge('PT-4-04', direct.count === 0, {
      sent,
      came: `${direct.count} connections past the upstream proxy`,
      expected: 'no connection past the upstream proxy',
    });
    if (asked !== undefined) {
      lab.judge(
        'PT-3.2.2-06 PT-3.2.2-04',
        `${asked.username} ${asked.password}` === userOf[kind].expected,
        {
          sent,
          came: 'other credentials at the upstream proxy',
          expected: 'the credentials of the URI, percent escapes undone',
        },
      );
    }

    const naming = `${pair.client.what}, and connections to ${UNKNOWN_HOST}`;
    await judgeNaming(lab, naming, pair.client, async () => {
      const connecting = pair.connect({ target: { host: UNKNOWN_HOST, port: 443 } });
      const request = await Promise.race([
        serveUpstream(upstream, kind, lab.patience, pair.serverEndpoint),
        // A program may refuse names.
        connecting.then(() => undefined),
      ]);
      return { asked: request?.target, outcome: (await connecting).outcome };
    });
  },
}));

/** A name that only somebody who looks it up asks anyone for. */
export const UNKNOWN_HOST = 'bridge.conform.invalid';

/** What a client made of a name. */
export interface Naming {
  /** What the upstream proxy was asked for, if anything. */
  readonly asked: Endpoint | undefined;
  readonly outcome: SocksOutcome;
}

/** Judges whether a client leaves names to its upstream proxy, and looks none up by itself. */
export async function judgeNaming(
  lab: PtLab,
  sent: string,
  client: Run,
  connect: () => Promise<Naming>,
): Promise<void> {
  const expected = 'the name itself at the upstream proxy, or a refusal of names, and no lookup';
  let naming: Naming | undefined;
  let isWatched = true;
  const seen = new Set<string>();
  // A lookup lasts no longer than the way to the name server and back: it may take a few to see one.
  for (let attempt = 0; attempt < NAMINGS && seen.size === 0; attempt += 1) {
    const connecting = connect();
    const servers = await watchNameServers(client, connecting);
    naming = await connecting;
    for (const server of servers ?? []) seen.add(server);
    isWatched &&= servers !== undefined;
    if (!isWatched || naming.asked !== undefined || naming.outcome.isOpen) break;
  }
  const { asked, outcome } = naming!;
  const isPassedOn = asked?.host === UNKNOWN_HOST;
  const isWrong = (asked !== undefined && !isPassedOn) || seen.size > 0;
  if (!isWrong && !(isPassedOn && isWatched)) {
    const reason = isWatched
      ? 'it asks the upstream proxy for no name, and was not seen to look one up'
      : 'this system does not say which sockets a process has';
    lab.pass('PT-4-03', reason);
    return;
  }
  const request =
    asked === undefined
      ? `no request at the upstream proxy; ${describeOutcome(outcome)}`
      : `a request for ${formatEndpoint(asked)}`;
  lab.judge('PT-4-03', !isWrong, {
    sent,
    came: `${request}; sockets to name servers: ${[...seen].join(', ') || 'none'}`,
    expected,
  });
}

/** How often a name is asked for, until a lookup is seen. */
const NAMINGS = 12;

/** Watches to which name servers a client has a socket, until a promise has settled. */
async function watchNameServers(
  run: Run,
  until: Promise<unknown>,
): Promise<readonly string[] | undefined> {
  const seen = new Set<string>();
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  until.then(over, over);
  while (!isOver) {
    const now = run.pid === undefined ? undefined : nameServers(run.pid);
    if (now === undefined) return undefined;
    for (const server of now) seen.add(server);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return [...seen];
}

/** What an upstream proxy does instead of its work; the last of them is the end of it. */
const failures: readonly {
  readonly what: string;
  readonly act?: (wire: Wire, time: Time) => Promise<unknown>;
  /** Whether there is nothing for the application to hear of. */
  readonly hangs?: true;
}[] = [
  { what: 'accepts and says nothing', act: async () => {}, hangs: true },
  {
    what: 'answers that it may not',
    async act(wire, time) {
      await readSocks5(wire, time);
      wire.write(Buffer.of(5, 2, 0, 1, 0, 0, 0, 0, 0, 0));
    },
  },
  { what: 'breaks off', act: async (wire) => wire.close() },
  { what: 'refuses', act: async (wire) => wire.write(Buffer.of(5, 0xff)) },
  { what: 'is down' },
];

const failing: PtCheck = {
  clauses: 'PT-3.2.2-04 PT-4-04',
  title: 'upstream proxies that are down, hang, refuse or break off',
  needs: 'pair',
  async run(lab) {
    using upstream = await lab.openTrap();
    using direct = await lab.openTrap();
    await using pair = await openWith(lab, { TOR_PT_PROXY: `socks5://${upstream.address}` });
    if (pair === undefined) return;
    for (const { what, act, hangs = false } of failures) {
      if (act === undefined) upstream.close();
      const acting: Promise<unknown>[] = [];
      // A program may come more than once, to find out what kind of proxy that is.
      using _ = upstream.serveAll((wire) => acting.push(act!(wire, lab.patience)));
      const time = hangs ? lab.quiet : lab.patience;
      const { outcome } = await pair.connect({ target: direct.endpoint, time });
      await Promise.allSettled(acting);
      const isHeard = hangs || outcome.answer !== 'silent';
      lab.judge('PT-3.2.2-04 PT-4-04', !outcome.isOpen && isHeard && direct.count === 0, {
        sent: `a connection, while the upstream proxy ${what}`,
        came: `${describeOutcome(outcome)}; ${direct.count} connections past it`,
        expected: `${hangs ? '' : 'an error, and '}no connection past the upstream proxy`,
      });
    }
  },
};

/** A pair behind an upstream proxy; undefined when the client takes none of this type. */
async function openWith(lab: PtLab, client: Variables): Promise<Pair | undefined> {
  {
    await using run = await lab.settled('client', client);
    if (!run.lines.includes('PROXY DONE')) return undefined;
  }
  return Pair.open(lab, { client });
}

export const upstreamChecks: readonly PtCheck[] = [...working, failing];

/** Plays the upstream proxy for one connection and leads it to the server. */
async function serveUpstream(
  trap: Trap,
  kind: Kind,
  time: Time,
  server: Endpoint,
): Promise<Asked | undefined> {
  const wire = await trap.accept(time);
  if (wire === undefined) return undefined;
  const read = { socks5: readSocks5, socks4a: readSocks4, http: readHttp }[kind];
  const asked = await read(wire, time);
  if (asked === undefined) {
    wire.close();
    return undefined;
  }
  const granted = {
    socks5: Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0),
    socks4a: Buffer.of(0, 0x5a, 0, 0, 0, 0, 0, 0),
    http: Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'),
  }[kind];
  const far = await dialWire(server, time);
  if (typeof far === 'string') return asked;
  wire.write(granted);
  wire.join(far);
  return asked;
}

/** HTTP CONNECT with Basic authentication. */
async function readHttp(wire: Wire, time: Time): Promise<Asked | undefined> {
  const head = await wire.takeThrough('\r\n\r\n', time);
  if (typeof head === 'string') return undefined;
  const text = head.toString('latin1');
  const request = /^CONNECT (\S+):(\d+) HTTP\/1\.[01]\r\n/.exec(text);
  if (request === null) return undefined;
  const basic = /^Proxy-Authorization: Basic (\S+)\r$/im.exec(text)?.[1] ?? '';
  const [, username = '', password = ''] =
    /^([^:]*):([\s\S]*)$/.exec(Buffer.from(basic, 'base64').toString('latin1')) ?? [];
  const host = request[1]!.replace(/^\[(.*)\]$/, '$1');
  return { target: { host, port: Number(request[2]) }, username, password };
}
