/** SETEVENTS and EVENT, without traffic (TC 1, 3.6 and 3.7). */
import {
  Code,
  codeOf,
  describeFrame,
  type Frame,
  getConf,
  message,
  setConf,
  setEvents,
  signal,
  Type,
} from './frames.ts';
import type { TcLab } from './lab.ts';
import { UNKNOWN_KEY } from './messages.ts';
import { done, error, type TcCheck } from './check.ts';
import type { Expected, Session } from './session.ts';

const ALL = [1, 2, 3, 4, 5];

/** How many reports of the bandwidth are enough to say that another connection has been left out. */
const TICKS = 2;

/** A session to tell time by: every second the server reports the bandwidth. */
export async function openTicker(lab: TcLab): Promise<Session> {
  const ticker = await lab.open();
  await ticker.ask(setEvents(Code.bandwidth));
  return ticker;
}

/** Waits for so many more reports. @returns whether they came */
export async function ticks(ticker: Session, count: number = TICKS): Promise<boolean> {
  const wanted = ticker.count(Code.bandwidth) + count;
  const hasThem = (): boolean => ticker.count(Code.bandwidth) >= wanted;
  await ticker.until(hasThem);
  return hasThem();
}

const asking: TcCheck = {
  clauses: 'TC-1-07 TC-3.2-01 TC-3.6-01 TC-3.6-02 TC-3.6-05 TC-3.7-12',
  title: 'asking for events',
  async run(lab) {
    const session = await lab.open();
    const ask = (ids: string, ...codes: readonly number[]): Promise<unknown> =>
      session.expect(ids, setEvents(...codes), done);
    await ask('TC-3.6-02 TC-3.6-01', ...ALL);
    await ask('TC-3.6-01', Code.bandwidth, Code.bandwidth);
    await ask('TC-3.6-02', Code.log);
    await ask('TC-3.2-01');
    for (const codes of [[0x0000], [0x0006], [0x7777], [Code.log, 0x7777], [0x0006, Code.log]]) {
      await session.expect('TC-3.6-05', setEvents(...codes), error(0x0006));
    }
    const ticker = await openTicker(lab);
    const came = await ticks(ticker);
    lab.judge('TC-1-07 TC-3.7-12 TC-3.6-02', came, {
      sent: `${describeFrame(setEvents(Code.bandwidth))}, and nothing more`,
      came: `${ticker.count(Code.bandwidth)} reports of the bandwidth`,
      expected: 'one after the other, every second',
    });
  },
};

const unknownCode = error(0x0006);
const BANDWIDTH = setEvents(Code.bandwidth);
const CIRCUIT = setEvents(Code.circuit);

/** What is asked one after the other, and whether reports of the bandwidth must still come after that. */
const changes: readonly {
  readonly clauses: string;
  readonly what: string;
  readonly first: Frame;
  readonly then: Frame;
  readonly comes: boolean;
  /** What the second must be answered with, and the clause that says so. */
  readonly answer?: readonly [clause: string, Expected];
}[] = [
  {
    clauses: 'TC-3.6-03',
    what: 'SETEVENTS with all codes, then with none',
    first: setEvents(...ALL),
    then: setEvents(),
    comes: false,
    answer: ['TC-3.6-03', done],
  },
  {
    clauses: 'TC-3.6-04',
    what: 'SETEVENTS with 0x0004, then with 0x0001',
    first: BANDWIDTH,
    then: CIRCUIT,
    comes: false,
  },
  {
    clauses: 'TC-3.6-04',
    what: 'SETEVENTS with 0x0001, then with 0x0004',
    first: CIRCUIT,
    then: BANDWIDTH,
    comes: true,
  },
  {
    clauses: 'TC-3.6-06 TC-3.6-05',
    what: 'SETEVENTS with 0x0004, then with 0x0001 and 0x7777',
    first: BANDWIDTH,
    then: setEvents(Code.circuit, 0x7777),
    comes: true,
    answer: ['TC-3.6-05', unknownCode],
  },
  {
    clauses: 'TC-3.6-06',
    what: 'SETEVENTS with 0x0001, then with 0x0004 and 0x7777',
    first: CIRCUIT,
    then: setEvents(Code.bandwidth, 0x7777),
    comes: false,
  },
  {
    clauses: 'TC-3.6-06 TC-3.6-01',
    what: 'SETEVENTS with 0x0004, then with one octet',
    first: BANDWIDTH,
    then: message(Type.setEvents, Buffer.of(0)),
    comes: true,
  },
];

const changing: TcCheck = {
  clauses: 'TC-1-06 TC-3.6-01 TC-3.6-03 TC-3.6-04 TC-3.6-05 TC-3.6-06 TC-3.6-02',
  title: 'changing what is asked for',
  async run(lab) {
    const silent = await lab.open();
    const ticker = await openTicker(lab);
    const cases = [];
    for (const change of changes) {
      const session = await lab.open();
      await session.ask(change.first);
      if (change.answer === undefined) await session.ask(change.then);
      else await session.expect(change.answer[0], change.then, change.answer[1]);
      cases.push({ ...change, session, before: session.count(Code.bandwidth) });
    }
    if (!(await ticks(ticker))) {
      const ids = this.clauses.replace(' TC-3.6-05', '');
      lab.pass(ids, 'it reports no bandwidth, so that nothing happens');
      return;
    }
    for (const { clauses, what, comes, session, before } of cases) {
      // A report that is due must be there with the next one on the other connection, at the latest.
      if (comes) {
        while (session.count(Code.bandwidth) === before && (await ticks(ticker, 1))) {
          if (ticker.count(Code.bandwidth) > 3 * TICKS) break;
        }
      }
      await session.ask(setEvents());
      const more = session.count(Code.bandwidth) - before;
      lab.judge(clauses, comes ? more > 0 : more === 0, {
        sent: what,
        came: `${more} EVENTs of code 0x0004 afterwards`,
        expected: comes ? 'one every second' : 'none',
      });
    }
    await silent.ask(getConf(lab.facts.known[0]));
    lab.judge('TC-1-06 TC-3.6-02', silent.events.length === 0, {
      sent: 'no SETEVENTS, while other connections were sent events',
      came: silent.events.map(describeFrame).join(', ') || 'no EVENT',
      expected: 'no EVENT',
    });
  },
};

/** Judges whether a session that asked for one kind of events got no others. */
export function judgeOnly(lab: TcLab, session: Session, code: number, when: string): void {
  const others = session.events.filter((event) => codeOf(event) !== code);
  lab.judge('TC-3.7-01', others.length === 0, {
    sent: `${describeFrame(setEvents(code))}, ${when}`,
    came: others.map(describeFrame).join(', ') || 'EVENTs of this kind at the most',
    expected: 'EVENTs of this kind only',
  });
}

const logging: TcCheck = {
  clauses: 'TC-3.7-13 TC-3.7-01 TC-3.6-02 TC-3.10-05 TC-3.10-08',
  title: 'messages of the log',
  async run(lab) {
    const session = await lab.open();
    const ticker = await openTicker(lab);
    await session.ask(setEvents(Code.log));
    const dump = signal(0x10);
    await session.expect('TC-3.10-05 TC-3.10-08', dump, done);
    await ticks(ticker, 1);
    const lines = session.count(Code.log);
    if (lines > 0) {
      lab.judge('TC-3.10-05', true, {
        sent: describeFrame(dump),
        came: `${lines} messages of the log`,
        expected: 'a report in the log',
      });
    }
    // What makes one server say something, another may not find worth a notice.
    const { number } = lab.facts;
    const provocations = [
      message(Type.getConf, 'HiddenServicePort\n'),
      setConf(number === undefined ? `${UNKNOWN_KEY} 1\n` : `${number.key} banana\n`),
      message(Type.authenticate, 'no secret of this server'),
    ];
    for (const request of lines > 0 ? [] : provocations) await session.ask(request);
    await ticks(ticker, 1);
    if (session.count(Code.log) === 0) {
      const reason = 'nothing that the kit does made it log a notice, a warning or an error';
      lab.pass('TC-3.7-13', reason);
    }
    await session.ask(setEvents());
    judgeOnly(lab, session, Code.log, 'while the bandwidth was reported elsewhere');
  },
};

export const eventChecks: readonly TcCheck[] = [asking, changing, logging];
