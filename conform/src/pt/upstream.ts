/** Upstream proxies: the kit plays them, and watches whether anything gets past them. */
import { bytesToIp, type Endpoint, formatEndpoint } from 'postern/pt';
import type { Findings } from '../findings.ts';
import type { Run, Variables } from './run.ts';
import { nameServers } from '../sandbox.ts';
import { describeOutcome, type SocksOutcome } from '../socks.ts';
import type { Time } from '../patience.ts';
import { dialWire, type Trap, type Wire } from '../wire.ts';
import { Pair } from './pair.ts';
import type { PtCheck } from './check.ts';
import type { PtLab } from './lab.ts';

/** What an upstream proxy was asked for. */
interface Asked {
  readonly target: Endpoint;
  readonly username: string;
  readonly password: string;
}

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
  async run(lab, findings) {
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
    findings.judge('PT-3.2.2-04 PT-3.3.2-03', isRightTarget && isCarried && direct.count === 0, {
      sent,
      came: `${came}; ${direct.count} connections past it`,
      expected: 'every connection through the upstream proxy, to the right destination',
    });
    findings.judge('PT-4-04', direct.count === 0, {
      sent,
      came: `${direct.count} connections past the upstream proxy`,
      expected: 'no connection past the upstream proxy',
    });
    if (asked !== undefined) {
      findings.judge(
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
    await judgeNaming(findings, naming, pair.client, async () => {
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
  findings: Findings,
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
    findings.pass('PT-4-03', 'not observable', reason);
    return;
  }
  const request =
    asked === undefined
      ? `no request at the upstream proxy; ${describeOutcome(outcome)}`
      : `a request for ${formatEndpoint(asked)}`;
  findings.judge('PT-4-03', !isWrong, {
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

/** What an upstream proxy does instead of its work. */
const failures = [
  ['is down', undefined],
  ['refuses', async (wire: Wire) => wire.write(Buffer.of(5, 0xff))],
  ['breaks off', async (wire: Wire) => wire.close()],
  [
    'answers that it may not',
    async (wire: Wire, time: Time) => {
      await readSocks5(wire, time);
      wire.write(Buffer.of(5, 2, 0, 1, 0, 0, 0, 0, 0, 0));
    },
  ],
] as const;

const failing: PtCheck = {
  clauses: 'PT-3.2.2-04 PT-4-04',
  title: 'upstream proxies that are down, refuse or break off',
  needs: 'pair',
  async run(lab, findings) {
    using upstream = await lab.openTrap();
    using direct = await lab.openTrap();
    await using pair = await openWith(lab, { TOR_PT_PROXY: `socks5://${upstream.address}` });
    if (pair === undefined) return;
    for (const [what, act] of failures.toReversed()) {
      if (act === undefined) upstream.close();
      const acting: Promise<unknown>[] = [];
      // A program may come more than once, to find out what kind of proxy that is.
      using _ = upstream.serveAll((wire) => acting.push(act!(wire, lab.patience)));
      const { outcome } = await pair.connect({ target: direct.endpoint });
      await Promise.allSettled(acting);
      findings.judge(
        'PT-3.2.2-04 PT-4-04',
        !outcome.isOpen && outcome.answer !== 'silent' && direct.count === 0,
        {
          sent: `a connection, while the upstream proxy ${what}`,
          came: `${describeOutcome(outcome)}; ${direct.count} connections past it`,
          expected: 'an error, and no connection past the upstream proxy',
        },
      );
    }
  },
};

const hanging: PtCheck = {
  clauses: 'PT-3.2.2-04 PT-4-04',
  title: 'an upstream proxy that hangs',
  needs: 'pair',
  async run(lab, findings) {
    using upstream = await lab.openTrap();
    using direct = await lab.openTrap();
    await using pair = await openWith(lab, { TOR_PT_PROXY: `socks5://${upstream.address}` });
    if (pair === undefined) return;
    const { outcome } = await pair.connect({ target: direct.endpoint, time: lab.quiet });
    findings.judge('PT-3.2.2-04 PT-4-04', !outcome.isOpen && direct.count === 0, {
      sent: 'a connection, while the upstream proxy accepts and says nothing',
      came: `${describeOutcome(outcome)}; ${direct.count} connections past it`,
      expected: 'no connection past the upstream proxy',
    });
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

export const upstreamChecks: readonly PtCheck[] = [...working, failing, hanging];

/** Plays the upstream proxy for one connection and leads it to the server. */
async function serveUpstream(
  trap: Trap,
  kind: Kind,
  time: Time,
  server: Endpoint,
): Promise<Asked | undefined> {
  const wire = await trap.accept(time);
  if (wire === undefined) return undefined;
  const read = { socks5: readSocks5, socks4a: readSocks4a, http: readHttp }[kind];
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

/** RFC 1928 and RFC 1929, the server's side up to the request. */
export async function readSocks5(wire: Wire, time: Time): Promise<Asked | undefined> {
  const take = async (length: number): Promise<Buffer> => {
    const bytes = await wire.take(length, time);
    return typeof bytes === 'string' ? Buffer.alloc(length) : bytes;
  };
  const [version, count] = await take(2);
  if (version !== 5) return undefined;
  const methods = await take(count!);
  let [username, password] = ['', ''];
  if (methods.includes(2)) {
    wire.write(Buffer.of(5, 2));
    const [, usernameBytes] = await take(2);
    username = (await take(usernameBytes!)).toString('latin1');
    const [passwordBytes] = await take(1);
    password = (await take(passwordBytes!)).toString('latin1');
    wire.write(Buffer.of(1, 0));
  } else {
    wire.write(Buffer.of(5, 0));
  }
  const [, command, , type] = await take(4);
  if (command !== 1) return undefined;
  const length = type === 1 ? 4 : type === 4 ? 16 : (await take(1))[0]!;
  const address = await take(length);
  const host = type === 3 ? address.toString('latin1') : bytesToIp(address);
  return { target: { host, port: (await take(2)).readUInt16BE() }, username, password };
}

/** SOCKS4a. */
async function readSocks4a(wire: Wire, time: Time): Promise<Asked | undefined> {
  const head = await wire.take(8, time);
  if (typeof head === 'string' || head[0] !== 4 || head[1] !== 1) return undefined;
  const port = head.readUInt16BE(2);
  const address = head.subarray(4);
  const user = await wire.takeThrough('\0', time);
  const isName = address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0;
  const name = isName ? await wire.takeThrough('\0', time) : undefined;
  const host = Buffer.isBuffer(name) ? name.toString('latin1').slice(0, -1) : bytesToIp(address);
  const username = Buffer.isBuffer(user) ? user.toString('latin1').slice(0, -1) : '';
  return { target: { host, port }, username, password: '' };
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
