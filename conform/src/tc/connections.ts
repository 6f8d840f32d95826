/** Connections, and the events that they cause (TC 3.7). */
import { byId, judgeCircuits, judgeLinks, judgeStreams } from './changes.ts';
import { judgeOnly, openTicker, ticks } from './events.ts';
import { type Change, Code, codeOf, setConf, setEvents } from './frames.ts';
import type { TcLab } from './lab.ts';
import type { TcCheck } from './check.ts';
import type { Session } from './session.ts';
import { type Ends, Traffic } from './traffic.ts';

/** Streams that are opened one after the other, for identifiers that must not come again. */
const STREAMS = 8;

/** What goes through one of them. */
const PAYLOAD = Buffer.alloc(100_000, 'conform ');

/** After how many seconds a circuit takes no new connections, and the least that engines allow. */
const DIRTINESS = 'MaxCircuitDirtiness';
const LEAST_DIRTINESS_S = 10;

const eventClauses =
  'TC-3.7-03 TC-3.7-04 TC-3.7-05 TC-3.7-06 TC-3.7-07 TC-3.7-08 TC-3.7-09 TC-3.7-10 ' +
  'TC-3.7-11 TC-3.7-01 TC-3.7-12';

const events: TcCheck = {
  clauses: eventClauses,
  title: 'connections, and the events that they cause',
  async run(lab) {
    using traffic = await Traffic.open(lab);
    const session = await lab.open();
    await lab.borrow(session, DIRTINESS);
    await session.ask(setConf(`${DIRTINESS} ${LEAST_DIRTINESS_S}\n`));
    await session.ask(setEvents(1, 2, 3, 4));
    const lone = new Map<number, Session>();
    for (const code of [Code.circuit, Code.stream, Code.orConnection]) {
      const listener = await lab.open();
      await listener.ask(setEvents(code));
      lone.set(code, listener);
    }
    const ticker = await openTicker(lab);
    const { port } = traffic;
    const opened = await openStreams(lab, session, traffic);
    const isThrough = opened === STREAMS;
    // Nobody listens there: the stream fails, if it comes as far.
    traffic.trap.close();
    await traffic.connect('127.0.0.1');
    const streams = (): readonly (readonly Change[])[] => byId(session, Code.stream, `:${port}`);
    const asked = isThrough ? STREAMS + 1 : opened + 2;
    const isEnded = (changes: readonly Change[]): boolean =>
      changes.some(({ status }) => status === 3 || status === 4);
    await session.until(() => streams().filter(isEnded).length >= asked);
    await ticks(ticker, 1);
    judgeStreams(lab, streams(), asked);
    await session.ask(setEvents(Code.circuit, Code.orConnection));
    await renewCircuits(session, ticker, () => traffic.connect('127.0.0.1'));
    await session.ask(setEvents());
    judgeCircuits(lab, byId(session, Code.circuit));
    judgeLinks(lab, session);
    for (const [code, listener] of lone) {
      await listener.ask(setEvents());
      judgeOnly(lab, listener, code, 'then connections through SOCKS');
    }
  },
};

/** Opens streams one after the other. @returns how many there were */
async function openStreams(lab: TcLab, session: Session, traffic: Traffic): Promise<number> {
  for (let opened = 0; opened < STREAMS; opened += 1) {
    const version = opened % 2 === 0 ? 'socks5' : 'socks4';
    const connection = await traffic.connect('127.0.0.1', version);
    if (typeof connection === 'string') return opened;
    if (opened === 0) await transfer(lab, session, connection);
    await traffic.end(connection);
  }
  return STREAMS;
}

/** Sends a known amount, and adds up what is reported of it. */
async function transfer(lab: TcLab, session: Session, { near, far }: Ends): Promise<void> {
  near.write(PAYLOAD);
  await far.take(PAYLOAD.length, lab.time);
  const written = (): number =>
    session.events
      .filter((event) => codeOf(event) === Code.bandwidth && event.body.length === 10)
      .reduce((sum, { body }) => sum + body.readUInt32BE(6), 0);
  await session.until(() => written() >= PAYLOAD.length);
  lab.judge('TC-3.7-12', written() >= PAYLOAD.length, {
    sent: `${PAYLOAD.length} octets through the SOCKS port`,
    came: `reports of ${written()} octets written`,
    expected: 'reports whose sum is not less',
  });
}

/** Where all circuits were there already, waits until they are too old for new connections. */
async function renewCircuits(
  session: Session,
  ticker: Session,
  connect: () => Promise<unknown>,
): Promise<void> {
  const isLaunched = (): boolean =>
    byId(session, Code.circuit).some(([first]) => first!.status === 0);
  if (isLaunched()) return;
  for (let second = 0; second < LEAST_DIRTINESS_S + 5 && !isLaunched(); second += 1) {
    if (!(await ticks(ticker, 1))) return;
    await connect();
  }
  await ticks(ticker, 1);
}

export const connectionChecks: readonly TcCheck[] = [events];
