/** Messages as such: framing, order, sizes, types and errors (TC 1, 2 and 3.1). */
import {
  codeOf,
  confLines,
  describeFrame,
  encode,
  encodeAddress,
  type Frame,
  getConf,
  hex,
  MAX_BODY,
  message,
  setConf,
  setEvents,
  signal,
  Type,
  typeName,
} from './frames.ts';
import { done, error, isSame, type TcCheck, values } from './check.ts';
import { type Answer, describeAnswer, type Session } from './session.ts';

/** A key that no server knows. */
export const UNKNOWN_KEY = 'NoSuchOptionOfAnyServer';

/** A signal that no server knows, of either reading (TC 3.10). */
export const UNKNOWN_SIGNAL = 0x77;

const order: TcCheck = {
  clauses: 'TC-1-08 TC-1-03 TC-2-01',
  title: 'twenty requests in one write',
  async run(lab) {
    const session = await lab.open();
    const [one, two] = lab.facts.known;
    const marked = (count: number): readonly [Frame, string] => [
      message(Type.getConf, `${one}\n`.repeat(count)),
      `CONFVALUE of ${count} lines`,
    ];
    const requests: readonly (readonly [Frame, string])[] = [
      marked(1),
      [message(0x1234, 'x'), 'ERROR 0x0002'],
      [getConf(UNKNOWN_KEY), 'ERROR 0x0004'],
      marked(2),
      [message(Type.setEvents, Buffer.of(0, 1, 0)), 'ERROR 0x0003'],
      [setEvents(0x7777), 'ERROR 0x0006'],
      [setEvents(), 'DONE'],
      marked(3),
      [signal(UNKNOWN_SIGNAL), 'ERROR 0x0006'],
      [setConf(), 'DONE'],
      marked(4),
      [message(Type.mapAddress), 'ERROR 0x0003'],
      [message(0x1234), 'ERROR 0x0002'],
      marked(5),
      [setEvents(), 'DONE'],
      [setConf(`${UNKNOWN_KEY} 1\n`), 'ERROR 0x0004'],
      marked(6),
      [message(Type.done), 'ERROR 0x0002'],
      [message(Type.getConf, `${two}\n${one}\n${two}\n`), 'CONFVALUE of 3 lines'],
      marked(7),
    ];
    session.send(...requests.map(([request]) => request));
    const came = await takeKinds(session, requests.length);
    const expected = requests.map(([, kind]) => kind);
    lab.judge('TC-1-08 TC-1-03 TC-2-01', isSame(came, expected), {
      sent: `${requests.length} requests in one write`,
      came: came.join(', '),
      expected: expected.join(', '),
    });
  },
};

/** So many replies, as far as they can be foretold; behind the last of them why no more came. */
async function takeKinds(session: Session, count: number): Promise<readonly string[]> {
  const kinds: string[] = [];
  while (kinds.length < count) {
    const frame = await session.take();
    if (typeof frame === 'string') return [...kinds, frame];
    kinds.push(kindOf(frame));
  }
  return kinds;
}

/** A reply as far as it can be foretold. */
function kindOf(frame: Frame): string {
  if (frame.type === Type.error) return `ERROR ${hex(codeOf(frame) ?? 0xffff)}`;
  if (frame.type !== Type.confValue) return typeName(frame.type);
  return `CONFVALUE of ${confLines(frame)?.length ?? 'malformed'} lines`;
}

const framing: TcCheck = {
  clauses: 'TC-2-01',
  title: 'messages in pieces',
  async run(lab) {
    const session = await lab.open();
    const [key] = lab.facts.known;
    const lines = (await lab.linesOf(session, key)) ?? [];
    const request = getConf(key);
    const bytes = encode(request);
    const ways: readonly [string, () => Promise<void> | void][] = [
      ['octet by octet', () => session.sendSlowly(request)],
      [
        'its end together with the head of another message',
        async () => {
          const second = message(0x1234, 'body');
          const [head, rest] = [encode(second).subarray(0, 3), encode(second).subarray(3)];
          session.send(request);
          session.sendBytes(head, second);
          // The answer to the first shows that the head has been read, most likely.
          await session.until(() => session.log.at(-1)?.request === request);
          session.sendBytes(rest);
        },
      ],
    ];
    for (const [way, send] of ways) {
      await send();
      const reply = await session.take();
      const isRight = typeof reply !== 'string' && isSame(confLines(reply), lines);
      lab.judge('TC-2-01', isRight, {
        sent: `${bytes.length} octets of a GETCONF, ${way}`,
        came: typeof reply === 'string' ? reply : describeFrame(reply),
        expected: values(...lines).text,
      });
      if (!isRight) return;
    }
    const second = await session.take();
    const isRefused = typeof second !== 'string' && codeOf(second) === 0x0002;
    lab.judge('TC-2-01', isRefused, {
      sent: 'a message of type 0x1234 whose head and rest came apart',
      came: typeof second === 'string' ? second : describeFrame(second),
      expected: 'one ERROR 0x0002',
    });
  },
};

const streams: TcCheck = {
  clauses: 'TC-1-01',
  title: 'two clients at the same time',
  async run(lab) {
    const [first, second] = [await lab.open(), await lab.open()];
    const [key] = lab.facts.known;
    for (let round = 0; round < ROUNDS; round += 1) {
      first.send(getConf(key));
      second.send(message(Type.getConf, `${key}\n${key}\n`));
    }
    const kinds = [await takeKinds(first, ROUNDS), await takeKinds(second, ROUNDS)];
    const came = kinds.map((list) => list.join(', '));
    const expected = [1, 2].map((lines) =>
      Array.from({ length: ROUNDS }, () => `CONFVALUE of ${lines} lines`).join(', '),
    );
    lab.judge('TC-1-01', isSame(came, expected), {
      sent: `${ROUNDS} GETCONF of one key on one connection, of two keys on another`,
      came: came.join('; '),
      expected: expected.join('; '),
    });
  },
};

const ROUNDS = 3;

const truncation: TcCheck = {
  clauses: 'TC-1-03',
  title: 'a message that is cut off',
  async run(lab) {
    const { number } = lab.facts;
    if (number === undefined) return;
    const [watcher, session] = [await lab.open(), await lab.open()];
    await lab.borrow(watcher, number.key);
    const body = `${number.key} ${number.value + 1}\n`;
    // Its whole line is there, and one octet of white space is not.
    session.sendBytes(encode(setConf(`${body}\n`)).subarray(0, -1));
    session.end();
    await session.ending();
    const lines = await lab.linesOf(watcher, number.key);
    lab.judge('TC-1-03', isSame(lines, [`${number.key} ${number.value}`]), {
      sent: `a SETCONF “${body.trim()}” without its last octet, then the end of the stream`,
      came: `afterwards: ${lines?.join(', ') ?? 'no CONFVALUE'}`,
      expected: 'no part of a message acted on',
    });
  },
};

const sizes: TcCheck = {
  clauses: 'TC-1-05 TC-2-02 TC-3.1-12',
  title: 'the smallest and the largest bodies',
  async run(lab) {
    const session = await lab.open();
    const ids = 'TC-1-05 TC-2-02';
    await session.expect(ids, message(0x1234, Buffer.alloc(MAX_BODY)), error(0x0002));
    const comment = `#${'x'.repeat(MAX_BODY - 2)}\n`;
    await session.expect(ids, setConf(comment), done);
    await session.expect('TC-1-05', message(Type.getConf), values());
    const [key] = lab.facts.known;
    const [line = ''] = (await lab.linesOf(session, key)) ?? [];
    if (line === '') return;
    const most = Math.floor(MAX_BODY / (line.length + 1));
    const large = await session.ask(message(Type.getConf, `${key}\n`.repeat(most)));
    lab.judge('TC-1-05', large.frames.length === 1 && linesIn(large.frames[0]!) === most, {
      sent: `GETCONF of ${key}, ${most} times in one message`,
      came: summary(large),
      expected: `one CONFVALUE of ${most} lines, ${most * (line.length + 1)} octets`,
    });
    const over = await session.ask(message(Type.getConf, `${key}\n`.repeat(most + 1)));
    lab.judge('TC-3.1-12', error(0x0009).isMet(over), {
      sent: `GETCONF of ${key}, ${most + 1} times: the reply would have more than ${MAX_BODY} octets`,
      came: summary(over),
      expected: error(0x0009).text,
    });
  },
};

function linesIn(frame: Frame): number | undefined {
  return confLines(frame)?.length;
}

function summary(answer: Answer): string {
  const [frame] = answer.frames;
  if (frame?.type !== Type.confValue) return describeAnswer(answer);
  return `CONFVALUE of ${frame.body.length} octets, ${linesIn(frame) ?? 'malformed'} lines`;
}

const types: TcCheck = {
  clauses: 'TC-2-03 TC-2-04 TC-3.1-01 TC-3.1-05 TC-3.12-02',
  title: 'types that no client sends',
  async run(lab) {
    const session = await lab.open();
    for (const [type, body] of [
      [0x000d, ''],
      [0x000d, 'body'],
      [0x1234, ''],
      [0x1234, 'body'],
      [0xffff, ''],
      [0xffff, 'body'],
    ] as const) {
      await session.expect('TC-2-04 TC-3.1-01', message(type, body), error(0x0002));
    }
    await session.expect('TC-3.1-05 TC-2-04', message(0x00ff), error(0x0002));
    const pair = Buffer.concat([encodeAddress('192.0.2.1'), encodeAddress('192.0.2.2')]);
    for (const [ids, type, body] of [
      ['TC-2-03', Type.error, Buffer.of(0, 0)],
      ['TC-2-03', Type.done, ''],
      ['TC-2-03', Type.confValue, 'Key value\n'],
      ['TC-2-03', Type.event, Buffer.of(0, 5, 0x78, 0)],
      ['TC-2-03 TC-3.12-02', Type.addressMapped, pair],
    ] as const) {
      await session.expect(ids, message(type, body), error(0x0002));
    }
  },
};

const errors: TcCheck = {
  clauses: 'TC-3.1-01 TC-3.1-06 TC-3.1-07 TC-3.1-09 TC-3.6-01 TC-3.10-01',
  title: 'requests that are wrong',
  async run(lab) {
    const session = await lab.open();
    const ask = (ids: string, request: Frame, code: number): Promise<unknown> =>
      session.expect(ids, request, error(code));
    const syntax = 'TC-3.1-06 TC-3.1-01';
    await ask(`${syntax} TC-3.6-01`, message(Type.setEvents, Buffer.of(0, 4, 0)), 0x0003);
    await ask(`${syntax} TC-3.10-01`, message(Type.signal), 0x0003);
    await ask(`${syntax} TC-3.10-01`, signal(UNKNOWN_SIGNAL, UNKNOWN_SIGNAL), 0x0003);
    await ask(syntax, message(Type.mapAddress, Buffer.of(1, 192, 0, 2)), 0x0003);
    const key = 'TC-3.1-07 TC-3.1-01';
    await ask(key, getConf(UNKNOWN_KEY), 0x0004);
    await ask(key, setConf(`${UNKNOWN_KEY} 1\n`), 0x0004);
    const code = 'TC-3.1-09 TC-3.1-01';
    await ask(code, setEvents(0x7777), 0x0006);
    await ask(code, signal(0x7f), 0x0006);
  },
};

export const messageChecks: readonly TcCheck[] = [
  order,
  framing,
  streams,
  truncation,
  sizes,
  types,
  errors,
];
