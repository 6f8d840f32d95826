/** SAVECONF and SIGNAL: what changes a server for longer, and what ends it (TC 3.9 and 3.10). */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { type Allowance, allowed } from '../patience.ts';
import { dialWire } from '../wire.ts';
import { codeOf, describeFrame, hex, message, setConf, signal, Type } from './frames.ts';
import type { TcLab } from './lab.ts';
import { UNKNOWN_SIGNAL } from './messages.ts';
import { done, error, isSame, type TcCheck } from './check.ts';
import { describeAnswer, type Session } from './session.ts';

/** The signals (TC 3.10). */
const Signal = { reload: 0x01, shutdown: 0x02, dump: 0x10, debug: 0x12, halt: 0x15 } as const;

const unknown: TcCheck = {
  clauses: 'TC-3.10-09 TC-3.10-08 TC-3.2-01',
  title: 'signals that do not exist',
  async run(lab) {
    const session = await lab.open();
    for (const code of [0x00, 0x03, UNKNOWN_SIGNAL, 0xff]) {
      await session.expect('TC-3.10-09', signal(code), error(0x0006));
    }
    const dump = 'TC-3.10-08 TC-3.2-01';
    await session.expect(dump, signal(Signal.dump), done);
  },
};

const saving: TcCheck = {
  clauses: 'TC-3.9-01 TC-3.9-02 TC-3.9-03 TC-3.3-07',
  title: 'SAVECONF',
  async run(lab) {
    const { permissions } = lab.options;
    if (permissions.saveconf !== true) {
      lab.pass('TC-3.9-01 TC-3.9-02 TC-3.9-03', 'it rewrites the torrc; --saveconf allows it');
      return;
    }
    const session = await lab.open();
    const { number } = lab.facts;
    const save = message(Type.saveConf);
    const first = await session.ask(save);
    if (first.frames[0]?.type === Type.error) {
      const isInternal = error(0x0001).isMet(first);
      const evidence = { sent: describeFrame(save), came: describeAnswer(first) };
      lab.judge('TC-3.9-03', isInternal, {
        ...evidence,
        expected: 'DONE, or ERROR 0x0001 when it cannot be saved',
      });
      lab.pass('TC-3.9-01 TC-3.9-02', `it cannot save: ${evidence.came}`);
      return;
    }
    lab.judge('TC-3.9-02', done.isMet(first), {
      sent: describeFrame(save),
      came: describeAnswer(first),
      expected: done.text,
    });
    lab.pass('TC-3.9-03', 'it can save');
    const withBody = message(Type.saveConf, 'a body that means nothing');
    await session.expect('TC-3.9-01', withBody, done);
    if (permissions.reload !== true || number === undefined) return;
    const { key, value } = number;
    await lab.borrow(session, key);
    await session.ask(setConf(`${key} ${value + 1}\n`));
    await session.expect('TC-3.9-02', save, done, 'after a SETCONF');
    await session.ask(setConf(`${key} ${value + 2}\n`));
    await session.ask(signal(Signal.reload));
    const wanted = `${key} ${value + 1}`;
    const lines = await becomes(lab, session, key, wanted);
    lab.judge('TC-3.9-02', isSame(lines, [wanted]), {
      sent: `SETCONF “${wanted}”, SAVECONF, SETCONF “${key} ${value + 2}”, SIGNAL reload`,
      came: lines?.join(', ') ?? 'no CONFVALUE',
      expected: `${wanted}: what was saved`,
    });
    // Puts the file back as it was, as far as we can.
    await lab.restore();
    await session.ask(save);
    await session.ask(signal(Signal.reload));
    await becomes(lab, session, key, `${key} ${value}`);
  },
};

/** Asks until an option has a value: a server may reload after it has said that it will. */
async function becomes(
  lab: TcLab,
  session: Session,
  key: string,
  line: string,
): Promise<readonly string[] | undefined> {
  const deadline = performance.now() + lab.time.leastMs;
  for (;;) {
    const lines = await lab.linesOf(session, key);
    if (isSame(lines, [line]) || lines === undefined || performance.now() > deadline) return lines;
  }
}

const reloading: TcCheck = {
  clauses: 'TC-3.10-02 TC-3.10-06 TC-3.10-08',
  title: 'SIGNAL reload and debug',
  async run(lab) {
    if (lab.options.permissions.reload !== true) {
      const reason = 'it takes back what others have set and not saved; --reload allows it';
      lab.pass('TC-3.10-02 TC-3.10-06', reason);
      return;
    }
    const session = await lab.open();
    const { number } = lab.facts;
    const reload = signal(Signal.reload);
    const ids = 'TC-3.10-02 TC-3.10-08';
    await session.expect(ids, reload, done);
    if (number !== undefined) {
      const { key } = number;
      // What the file says, which may not be what was in force before the first reload.
      const [line = ''] = (await lab.linesOf(session, key)) ?? [];
      await lab.borrow(session, key);
      await session.ask(setConf(`${key} ${number.value + 1}\n`));
      await session.expect(ids, reload, done);
      const lines = await becomes(lab, session, key, line);
      lab.judge('TC-3.10-02', isSame(lines, [line]), {
        sent: `SETCONF “${key} ${number.value + 1}” and SIGNAL reload`,
        came: lines?.join(', ') ?? 'no CONFVALUE',
        expected: `${line}: what the file says`,
      });
    }
    const logs = await openLogs(lab, session);
    const debug = signal(Signal.debug);
    await session.expect('TC-3.10-06 TC-3.10-08', debug, done);
    await session.ask(signal(Signal.dump));
    const [silent, talking] = [
      logs.filter((log) => !log.hasDebugLines()),
      logs.filter((log) => log.hasDebugLines()),
    ];
    if (talking.length > 0) {
      lab.judge('TC-3.10-06', silent.length === 0, {
        sent: describeFrame(debug),
        came: `debug lines in ${talking.length} of ${logs.length} log files`,
        expected: 'debug lines in each of them',
      });
    }
    // Ends it.
    await session.ask(reload);
  },
};

interface OpenLog {
  hasDebugLines(): boolean;
}

/** The log files that a server on this machine writes, as far as we may read them. */
async function openLogs(lab: TcLab, session: Session): Promise<readonly OpenLog[]> {
  const lines = (await lab.linesOf(session, 'Log')) ?? [];
  const paths = lines.flatMap((line) => /^Log (?:\S+ )?file (.+)$/.exec(line)?.[1] ?? []);
  return [...new Set(paths)].filter(existsSync).map((path) => {
    const before = statSync(path).size;
    return {
      hasDebugLines: () =>
        /\bdebug\b/i.test(readFileSync(path).subarray(before).toString('latin1')),
    };
  });
}

const ending: TcCheck = {
  clauses: 'TC-3.10-03 TC-3.10-04 TC-3.10-07 TC-3.10-08',
  title: 'SIGNAL shutdown and halt',
  async run(lab) {
    const { shutdown, halt } = lab.options.permissions;
    if (shutdown !== true) {
      lab.pass('TC-3.10-03 TC-3.10-04', 'it ends the server; --shutdown allows it');
    }
    if (halt !== true) {
      lab.pass('TC-3.10-07', 'it ends the server; --halt allows it');
    }
    if (shutdown !== true && halt !== true) return;
    const session = await lab.open();
    let isUp = true;
    if (shutdown === true) {
      isUp = await shutDown(lab, session, halt === true);
    }
    if (halt !== true) return;
    if (!isUp) {
      lab.pass('TC-3.10-07', 'SIGNAL shutdown has ended it before');
      return;
    }
    session.send(signal(Signal.halt));
    await judgeEnd(lab, session, 'TC-3.10-07 TC-3.10-08', Signal.halt);
  },
};

/** @returns whether it still runs, and is ending in its own time */
async function shutDown(lab: TcLab, session: Session, isHalted: boolean): Promise<boolean> {
  const isRelay = await relays(lab, session);
  const waits = (await lab.linesOf(session, 'ShutdownWaitLength'))?.[0]?.split(' ')[1];
  const waitMs = 1000 * Number(waits ?? 30);
  const sent = describeFrame(signal(Signal.shutdown));
  session.send(signal(Signal.shutdown));
  if (!isRelay || waitMs === 0) {
    lab.pass('TC-3.10-04', 'it is no relay that waits for its streams', 'not applicable');
    const ids = 'TC-3.10-03 TC-3.10-08';
    await judgeEnd(lab, session, ids, Signal.shutdown);
    return false;
  }
  lab.pass('TC-3.10-03', 'it is a relay', 'not applicable');
  const reply = await session.take();
  const isDone = typeof reply !== 'string' && reply.type === Type.done;
  lab.judge('TC-3.10-04 TC-3.10-08', isDone, {
    sent: `${sent}, to a relay`,
    came: typeof reply === 'string' ? reply : describeFrame(reply),
    expected: `one DONE, and an end ${waitMs / 1000} seconds later`,
  });
  const { socks } = lab.options;
  if (socks !== undefined) {
    const wire = await dialWire(socks, lab.time);
    lab.judge('TC-3.10-04', typeof wire === 'string', {
      sent: `${sent}, then a connection to the SOCKS port`,
      came: typeof wire === 'string' ? wire : 'a connection',
      expected: 'a closed port',
    });
    if (typeof wire !== 'string') wire.close();
  }
  // Through a relay that carries nothing for others there is nothing to wait for: it may end at once.
  const lines = await lab.linesOf(session, lab.facts.known[0]);
  const goesOn = lines !== undefined;
  if (goesOn && isHalted) return true;
  const time = allowed((goesOn ? waitMs : 0) + lab.time.leastMs, lab.options.signal);
  await judgeEnd(lab, session, 'TC-3.10-04', Signal.shutdown, time);
  return false;
}

/** Whether others have streams through it. */
async function relays(lab: TcLab, session: Session): Promise<boolean> {
  const orPort = (await lab.linesOf(session, 'ORPort'))?.[0]?.split(' ')[1];
  if (orPort !== undefined && orPort !== '0') return true;
  return ((await lab.linesOf(session, 'ServerTransportPlugin')) ?? []).length > 0;
}

async function judgeEnd(
  lab: TcLab,
  session: Session,
  clauses: string,
  code: number,
  time: Allowance = lab.time,
): Promise<void> {
  const end = await session.ending(time);
  const replies = session.log.filter(({ request }) => request?.type === Type.signal);
  const isRefused = replies.some(
    ({ frame }) => frame.type === Type.error && codeOf(frame) !== undefined,
  );
  const isGone = end !== 'silent' && !isRefused;
  lab.judge(clauses, isGone, {
    sent: `SIGNAL ${hex(code, 2)}`,
    came: [...replies.map(({ frame }) => describeFrame(frame)), end].join(', then '),
    expected: 'the end of the connection, with or without a DONE before it',
  });
  if (isGone) lab.forget();
}

export const signalChecks: readonly TcCheck[] = [unknown, saving, reloading];

/** What comes last of all. */
export const lastChecks: readonly TcCheck[] = [ending];
