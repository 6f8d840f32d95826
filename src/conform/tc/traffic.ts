/** What connections through the server's SOCKS port show: its events, and its mappings at work. */
import type { Endpoint } from '../../pt/address.ts';
import type { Findings } from '../findings.ts';
import { describeOutcome, socksConnect } from '../socks.ts';
import { dialWire, Trap, type Wire } from '../wire.ts';
import {
  Code,
  type Change,
  codeOf,
  decodeChange,
  decodePair,
  describeFrame,
  type Frame,
  mapAddress,
  message,
  setEvents,
  Type,
} from './frames.ts';
import type { TcLab } from './lab.ts';
import { Ticker } from './events.ts';
import type { TcProbe } from './probe.ts';
import type { Session } from './session.ts';

const NO_SOCKS = 'it takes traffic to see; --socks with a SOCKS port of the server lets it be seen';

/** Addresses that lead nowhere, and so are met on no way but by a mapping. */
const V4 = '192.0.2.79';
const NAME = 'mapped.conform.invalid';

/** Streams that are opened one after the other, for identifiers that must not come again. */
const STREAMS = 8;

/** What goes through one of them. */
const PAYLOAD = Buffer.alloc(100_000, 'conform ');

/** Connects through the server to a place of the kit's own. */
class Traffic {
  readonly trap: Trap;
  readonly #lab: TcLab;
  readonly #socks: Endpoint;

  private constructor(lab: TcLab, socks: Endpoint, trap: Trap) {
    this.#lab = lab;
    this.#socks = socks;
    this.trap = trap;
  }

  static async open(lab: TcLab, socks: Endpoint): Promise<Traffic> {
    return new Traffic(lab, socks, await Trap.open());
  }

  /** The port of everything that goes to our own place. */
  get port(): number {
    return this.trap.endpoint.port;
  }

  /** Asks for a connection. @returns both of its ends, or what was said instead */
  async connect(
    host: string,
    version: 'socks4' | 'socks5' = 'socks5',
    port: number = this.port,
  ): Promise<{ readonly near: Wire; readonly far: Wire } | string> {
    this.#lab.options.signal.throwIfAborted();
    const { time } = this.#lab;
    const near = await dialWire(this.#socks, time);
    if (typeof near === 'string') return 'the SOCKS port took no connection';
    const target = { host, port };
    const outcome = await socksConnect(near, { version, target, args: Buffer.alloc(0) }, time);
    if (!outcome.isOpen) {
      near.close();
      return describeOutcome(outcome);
    }
    const mark = `conform ${Math.random()}`;
    near.write(mark);
    const far = await this.trap.find(mark, time);
    if (far !== undefined) return { near, far };
    near.close();
    return 'the connection was opened, but led somewhere else';
  }

  /** Closes a connection from our side, and waits until the far end has heard of it. */
  async end({ near, far }: { readonly near: Wire; readonly far: Wire }): Promise<void> {
    near.close();
    await far.ending(this.#lab.time);
    far.close();
  }

  close(): void {
    this.trap.close();
  }
}

/** Runs with traffic; without a SOCKS port, or where nothing gets through, it says so. */
async function withTraffic(
  lab: TcLab,
  findings: Findings,
  clauses: readonly string[],
  run: (traffic: Traffic) => Promise<void>,
): Promise<void> {
  const { socks } = lab.options;
  if (socks === undefined) {
    findings.pass(clauses.join(' '), 'not observable', NO_SOCKS);
    return;
  }
  const wire = await dialWire(socks, lab.time);
  if (typeof wire === 'string') {
    findings.pass(clauses.join(' '), 'not observable', 'nobody answers at the SOCKS port');
    return;
  }
  wire.close();
  const traffic = await Traffic.open(lab, socks);
  try {
    await run(traffic);
  } finally {
    traffic.close();
  }
}

const eventClauses = [
  'TC-3.7-03',
  'TC-3.7-04',
  'TC-3.7-05',
  'TC-3.7-06',
  'TC-3.7-07',
  'TC-3.7-08',
  'TC-3.7-09',
  'TC-3.7-10',
  'TC-3.7-11',
  'TC-3.7-01',
  'TC-3.7-12',
];

const events: TcProbe = {
  clauses: eventClauses,
  title: 'connections, and the events that they cause',
  run: (lab, findings) =>
    withTraffic(lab, findings, eventClauses, async (traffic) => {
      const session = await lab.open();
      await lab.borrow(session, DIRTINESS);
      await session.ask(message(Type.setConf, `${DIRTINESS} ${LEAST_DIRTINESS_S}\n`));
      await session.ask(setEvents(1, 2, 3, 4));
      const lone = await Promise.all(
        [Code.circuit, Code.stream, Code.orConnection].map(async (code) => {
          const listener = await lab.open();
          await listener.ask(setEvents(code));
          return listener;
        }),
      );
      const ticker = await Ticker.start(lab);
      const { port } = traffic;
      let opened = 0;
      for (let round = 0; round < STREAMS; round += 1) {
        const connection = await traffic.connect(
          '127.0.0.1',
          round % 2 === 0 ? 'socks5' : 'socks4',
        );
        if (typeof connection === 'string') break;
        opened += 1;
        if (round === 0) await transfer(connection, lab, session, findings);
        await traffic.end(connection);
      }
      const isThrough = opened === STREAMS;
      // Nobody listens there: the stream fails, if it comes as far.
      traffic.trap.close();
      await traffic.connect('127.0.0.1');
      const streams = (): readonly (readonly Change[])[] => byId(session, Code.stream, `:${port}`);
      const asked = isThrough ? STREAMS + 1 : opened + 2;
      const isEnded = (changes: readonly Change[]): boolean =>
        changes.some(({ status }) => status === 3 || status === 4);
      await session.until(() => streams().filter(isEnded).length >= asked);
      await ticker.ticks(1);
      judgeStreams(streams(), asked, findings);
      await session.ask(setEvents(Code.circuit, Code.orConnection));
      await renewCircuits(session, ticker, () => traffic.connect('127.0.0.1'));
      await session.ask(setEvents());
      judgeCircuits(byId(session, Code.circuit), findings);
      judgeLinks(session, findings);
      const one = [Code.circuit, Code.stream, Code.orConnection];
      for (const [index, listener] of lone.entries()) {
        await listener.ask(setEvents());
        const others = listener.events.filter((event) => codeOf(event) !== one[index]);
        findings.judge('TC-3.7-01', others.length === 0, {
          sent: `${describeFrame(setEvents(one[index]!))}, then connections through SOCKS`,
          came: others.map(describeFrame).join(', ') || 'EVENTs of this kind at the most',
          expected: 'EVENTs of this kind only',
        });
      }
    }),
};

/** Sends a known amount, and adds up what is reported of it. */
async function transfer(
  { near, far }: { readonly near: Wire; readonly far: Wire },
  lab: TcLab,
  session: Session,
  findings: Findings,
): Promise<void> {
  near.write(PAYLOAD);
  await far.take(PAYLOAD.length, lab.time);
  const written = (): number =>
    session.events
      .filter((event) => codeOf(event) === Code.bandwidth && event.body.length === 10)
      .reduce((sum, { body }) => sum + body.readUInt32BE(6), 0);
  await session.until(() => written() >= PAYLOAD.length);
  findings.judge('TC-3.7-12', written() >= PAYLOAD.length, {
    sent: `${PAYLOAD.length} octets through the SOCKS port`,
    came: `reports of ${written()} octets written`,
    expected: 'reports whose sum is not less',
  });
}

/** Where all circuits were there already, waits until they are too old for new connections. */
async function renewCircuits(
  session: Session,
  ticker: Ticker,
  connect: () => Promise<unknown>,
): Promise<void> {
  const isLaunched = (): boolean =>
    byId(session, Code.circuit).some(([first]) => first!.status === 0);
  if (isLaunched()) return;
  for (let second = 0; second < LEAST_DIRTINESS_S + 5 && !isLaunched(); second += 1) {
    if (!(await ticker.ticks(1))) return;
    await connect();
  }
  await ticker.ticks(1);
}

/** After how many seconds a circuit takes no new connections, and the least that engines allow. */
const DIRTINESS = 'MaxCircuitDirtiness';
const LEAST_DIRTINESS_S = 10;

/** The changes of each circuit or stream, in the order in which they were first heard of. */
function byId(session: Session, code: number, suffix = ''): readonly (readonly Change[])[] {
  const found = new Map<number, Change[]>();
  for (const event of session.events.filter((each) => codeOf(each) === code)) {
    const change = decodeChange(event);
    if (change?.id === undefined || !change.text.endsWith(suffix)) continue;
    const changes = found.get(change.id) ?? [];
    found.set(change.id, [...changes, change]);
  }
  return [...found.values()];
}

function judgeStreams(
  streams: readonly (readonly Change[])[],
  asked: number,
  findings: Findings,
): void {
  const histories = streams.map((changes) => changes.map(({ status }) => status).join(''));
  const sent = `SETEVENTS 0x0002, then ${asked} connections one after the other, and their ends`;
  const came = `streams with the statuses ${histories.join(', ') || '(none)'}`;
  findings.judge('TC-3.7-08 TC-3.7-07 TC-3.7-01', streams.length > 0, {
    sent,
    came,
    expected: 'EVENTs of code 0x0002',
  });
  // Tried on several circuits, a stream says so more than once.
  findings.judge(
    'TC-3.7-08',
    histories.every((history) => /^[01]*2?[34]$/.test(history)),
    {
      sent,
      came,
      expected: 'sent connect (0), succeeded (2), and once at the end failed (3) or closed (4)',
    },
  );
  const isApart = histories.length === asked;
  findings.judge('TC-3.7-09', isApart, {
    sent,
    came: `${histories.length} different stream IDs, with the statuses ${histories.join(', ')}`,
    expected: `${asked} different ones`,
  });
}

function judgeCircuits(circuits: readonly (readonly Change[])[], findings: Findings): void {
  // What was launched before we listened began before.
  const whole = circuits.filter(([first]) => first!.status === 0);
  const sent = 'SETEVENTS 0x0001, then connections through SOCKS';
  if (whole.length === 0) {
    const reason = 'no circuit was launched for the connections';
    findings.pass('TC-3.7-03 TC-3.7-04 TC-3.7-05 TC-3.7-06', 'not observable', reason);
    return;
  }
  for (const changes of whole) {
    const history = changes.map(({ status }) => status).join('');
    const came = changes.map(({ status, text }) => `${status} “${text}”`).join(', ');
    // Once more launched is another circuit.
    findings.judge('TC-3.7-05', history.lastIndexOf('0') === 0 && !/[34]./.test(history), {
      sent,
      came,
      expected: 'one life for each ID: launched once, nothing after failed or closed',
    });
    findings.judge('TC-3.7-04', /^0(?:2*1)*2*[34]?$/.test(history), {
      sent,
      came,
      expected: 'launched (0), extended (2) for each hop, built (1) or failed (3), closed (4)',
    });
    let hops: readonly string[] = [];
    const isGrowing = changes.every(({ status, text }) => {
      const path = text === '' ? [] : text.split(',');
      const before = hops;
      if (status === 2) hops = path;
      if (status === 0) return path.length === 0;
      if (status !== 2) return path.join() === before.join();
      return path.length === before.length + 1 && path.slice(0, -1).join() === before.join();
    });
    findings.judge('TC-3.7-06', isGrowing, {
      sent,
      came,
      expected:
        'an empty path, one hop more with each extension, and all that was built at the end',
    });
  }
}

function judgeLinks(session: Session, findings: Findings): void {
  const links = session.events.filter((event) => codeOf(event) === Code.orConnection);
  if (links.length === 0) {
    const reason = 'no OR connection was opened or closed for the connections';
    findings.pass('TC-3.7-10 TC-3.7-11', 'not observable', reason);
    return;
  }
  const names = new Map<string, string>();
  for (const change of links.map(decodeChange)) {
    if (change !== undefined) {
      names.set(change.text, `${names.get(change.text) ?? ''}${change.status}`);
    }
  }
  for (const [name, history] of names) {
    findings.judge('TC-3.7-11', isPlausible(history), {
      sent: 'SETEVENTS 0x0003, then connections through SOCKS',
      came: `${name}: ${history}`,
      expected: 'launched (0), connected (1) or failed (2), closed (3)',
    });
  }
}

/** Several links to one name may take turns, and one may have been launched before we listened. */
function isPlausible(history: string): boolean {
  let pending = history.startsWith('0') ? 0 : 1;
  for (const status of history) {
    if (status === '0') pending += 1;
    else if (status !== '3') pending -= 1;
    if (pending < 0) return false;
  }
  return true;
}

const mappedClauses = [
  'TC-3.11-05',
  'TC-3.11-10',
  'TC-3.11-12',
  'TC-3.11-13',
  'TC-3.11-14',
  'TC-3.11-15',
];

const mapped: TcProbe = {
  clauses: mappedClauses,
  title: 'connections to mapped addresses',
  run: (lab, findings) =>
    withTraffic(lab, findings, mappedClauses.slice(0, 1).concat('TC-3.11-15'), async (traffic) => {
      const session = await lab.open();
      const plain = await traffic.connect('127.0.0.1');
      if (typeof plain === 'string') {
        const reason = `no connection through SOCKS came to a listener on loopback: ${plain}`;
        findings.pass('TC-3.11-05 TC-3.11-15', 'not observable', reason);
        return;
      }
      const map = async (from: string, to: string): Promise<Frame | undefined> => {
        lab.borrowAddress(from);
        return (await session.ask(mapAddress(from, to))).frames[0];
      };
      const arrives = async (
        ids: string,
        what: string,
        host: string,
        version: 'socks4' | 'socks5' = 'socks5',
      ): Promise<void> => {
        const connection = await traffic.connect(host, version);
        findings.judge(ids, typeof connection !== 'string', {
          sent: `${what}, then a ${version.toUpperCase()} request for ${host}`,
          came: typeof connection === 'string' ? connection : 'a connection',
          expected: 'a connection to where it is mapped to',
        });
        if (typeof connection !== 'string') await traffic.end(connection);
      };
      const what = `MAPADDRESS ${V4} → 127.0.0.1`;
      await map(V4, '127.0.0.1');
      await arrives('TC-3.11-05', what, V4);
      await arrives('TC-3.11-05', what, V4, 'socks4');
      await map(NAME, '127.0.0.1');
      await arrives('TC-3.11-05', `MAPADDRESS ${NAME} → 127.0.0.1`, NAME);
      await arrives('TC-3.11-05', what, '127.0.0.1');
      plain.near.write('still there');
      const later = await plain.far.takeThrough('still there', lab.time);
      findings.judge('TC-3.11-05', typeof later !== 'string', {
        sent: 'MAPADDRESS, while a stream was open',
        came: typeof later === 'string' ? `the stream: ${later}` : 'what was sent on it',
        expected: 'a stream that goes on',
      });
      await traffic.end(plain);

      const picked = await session.ask(mapAddress('0.0.0.0', '127.0.0.1'));
      const [original] = picked.frames[0] ? (decodePair(picked.frames[0].body) ?? []) : [];
      if (original !== undefined) {
        lab.borrowAddress(original);
        await arrives('TC-3.11-10 TC-3.11-12', `MAPADDRESS 0.0.0.0 → 127.0.0.1`, original);
      }

      // The first destination is an address to which nothing gets, unless it is mapped itself.
      await map(V4, '192.0.2.80');
      await map(V4, '127.0.0.1');
      await arrives('TC-3.11-13', `MAPADDRESS ${V4} → 192.0.2.80, then → 127.0.0.1`, V4);
      await map(NAME, NAME);
      const gone = await traffic.connect(NAME);
      findings.judge('TC-3.11-14', typeof gone === 'string', {
        sent: `MAPADDRESS ${NAME} → 127.0.0.1, then → ${NAME}, then a SOCKS5 request for it`,
        came: typeof gone === 'string' ? gone : 'a connection to 127.0.0.1',
        expected: 'no connection: there is no such name',
      });
      if (typeof gone !== 'string') await traffic.end(gone);

      const byName = await traffic.connect('localhost');
      if (typeof byName === 'string') {
        const reason = `no connection comes to a listener on loopback by a host name: ${byName}`;
        findings.pass('TC-3.11-15', 'not observable', reason);
        return;
      }
      await traffic.end(byName);
      await map(V4, 'localhost');
      await arrives('TC-3.11-15', `MAPADDRESS ${V4} → localhost`, V4, 'socks4');
    }),
};

export const trafficProbes: readonly TcProbe[] = [events, mapped];
