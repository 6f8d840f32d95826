/** Traffic through a client and a server of the program: payload, its ends, and arguments. */
import { encodeSocksArguments } from 'postern/pt';
import { Unjudged } from '../findings.ts';
import { describeOutcome } from '../socks.ts';
import { dialWire, type Wire } from '../wire.ts';
import { socksVersion } from './lab.ts';
import { Pair } from './pair.ts';
import type { PtCheck } from './check.ts';

const MEBIBYTE = 1_048_576;

/** Recognisable, and without a short period. */
function payload(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

const carrying: PtCheck = {
  clauses: 'PT-3-11 PT-2-01 PT-2-03 PT-2-07 PT-3.2.3-16 PT-3.2.3-17 PT-3.5-01',
  title: 'a mebibyte in both directions, and what is on the wire',
  needs: 'pair',
  async run(lab) {
    await using pair = await Pair.open(lab);
    const { patience } = lab;
    // The wire between the two is led through the kit.
    using tap = await lab.openTrap();
    const connecting = pair.connect({ target: tap.endpoint });
    const near = await tap.accept(patience);
    const far = await dialWire(pair.serverEndpoint, patience);
    if (near === undefined || typeof far === 'string') {
      lab.judge('PT-2-07 PT-2-01 PT-3.5-01', false, {
        sent: 'a SOCKS CONNECT with the arguments that the server publishes',
        came: 'no connection to the target',
        expected: 'a connection to the target',
      });
      return;
    }
    const onWire: Buffer[] = [];
    near.join(far, (chunk) => onWire.push(chunk));

    const connection = await connecting;
    lab.judge('PT-2-07 PT-3.5-01', connection.outcome.isOpen, {
      sent: 'a SOCKS CONNECT with the arguments that the server publishes',
      came: describeOutcome(connection.outcome),
      expected: 'an open connection',
    });
    const up = payload(MEBIBYTE, 1);
    const down = payload(MEBIBYTE, 2);
    connection.app.write(up);
    const service = await pair.orPort.accept(patience);
    service?.write(down);
    const [gotUp, gotDown] = await Promise.all([
      service?.take(MEBIBYTE, patience),
      connection.app.take(MEBIBYTE, patience),
    ]);
    const isUp = Buffer.isBuffer(gotUp) && gotUp.equals(up) && service!.received.length === 0;
    const isDown = Buffer.isBuffer(gotDown) && gotDown.equals(down);
    lab.judge('PT-3-11 PT-2-03 PT-3.2.3-16', isUp && isDown, {
      sent: 'a mebibyte from the application and one from the ORPort',
      came: `upwards ${isUp ? 'all' : 'not all'} of it arrived unchanged, downwards ${isDown ? 'all' : 'not all'}`,
      expected: 'both, byte for byte',
    });
    lab.judge('PT-3.2.3-17', isUp, {
      sent: 'a mebibyte from the application',
      came: isUp ? 'the same at the ORPort' : 'something else at the ORPort',
      expected: 'the payload and nothing else at the ORPort',
    });
    const piece = up.subarray(1000, 1032);
    const isPlain = Buffer.concat(onWire).includes(piece);
    lab.judge('PT-2-01', isUp && !isPlain, {
      sent: 'a mebibyte from the application',
      came: isPlain ? 'the plain payload on the wire' : `it arrived ${isUp ? 'whole' : 'changed'}`,
      expected: 'the payload at the far end, and only its disguise on the wire',
    });
    far.close();
  },
};

const ends: PtCheck = {
  clauses: 'PT-3-11',
  title: 'half-close and reset, carried to the other side',
  needs: 'pair',
  async run(lab) {
    await using pair = await Pair.open(lab);
    const { patience } = lab;
    const connection = await pair.connect();
    connection.app.socket.end('question');
    const service = await pair.orPort.accept(patience);
    const question = await service?.take(8, patience);
    const ending = await service?.ending(patience);
    service?.socket.end('answer');
    const answer = await connection.app.take(6, patience);
    lab.judge('PT-3-11', Buffer.isBuffer(question) && ending === 'closed', {
      sent: 'the application sent 8 bytes and ended its direction',
      came: `at the ORPort: ${Buffer.isBuffer(question) ? 'the bytes' : 'no bytes'}, then ${ending ?? 'no connection'}`,
      expected: 'the bytes and then the end of the stream at the ORPort',
    });
    lab.judge('PT-3-11', Buffer.isBuffer(answer), {
      sent: 'the application ended its direction; the server application then answered',
      came: Buffer.isBuffer(answer) ? 'the answer' : 'the end without the answer',
      expected: 'the answer: one direction’s end is not the end of the other',
    });
    service?.close();

    const second = await pair.connect();
    second.app.write('x');
    const reset = await pair.orPort.accept(patience);
    await reset?.take(1, patience);
    second.app.socket.resetAndDestroy();
    const wasCarried = await reset?.ending(patience);
    lab.judge('PT-3-11', wasCarried === 'closed' || wasCarried === 'reset', {
      sent: 'the application reset its connection',
      came: `at the ORPort: ${wasCarried ?? 'no connection'}`,
      expected: 'the end of the connection at the ORPort',
    });
    reset?.close();
  },
};

const comingAndGoing: PtCheck = {
  clauses: 'PT-3-11',
  title: 'applications that come and go, and leave nothing behind',
  needs: 'pair',
  async run(lab) {
    await using pair = await Pair.open(lab);
    const { patience } = lab;
    const left: Wire[] = [];
    // One after another: a connection at the ORPort tells nothing of whose it is.
    for (let visit = 0; visit < VISITS; visit += 1) {
      const { app } = await pair.connect();
      app.write('x');
      const service = await pair.orPort.accept(patience);
      await service?.take(1, patience);
      app.close();
      if (service !== undefined) left.push(service);
    }
    const endings = await Promise.all(left.map((service) => service.ending(patience)));
    const ended = endings.filter((ending) => ending === 'closed' || ending === 'reset').length;
    lab.judge('PT-3-11', ended === VISITS, {
      sent: `${VISITS} applications, of which each sent a byte and closed its connection`,
      came: `at the ORPort ${ended} connections ended`,
      expected: 'the end of each of them',
    });
  },
};

const VISITS = 100;

const strangers: PtCheck = {
  clauses: 'PT-2-03 PT-3.2.3-17',
  title: 'someone who does not speak the transport',
  needs: 'server',
  async run(lab) {
    const name = lab.mainName('server');
    using orPort = await lab.openTrap();
    await using run = await lab.settled('server', { TOR_PT_ORPORT: orPort.address });
    using stranger = await lab.dial(run, name);
    if (stranger === undefined) return;
    stranger.write('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'.repeat(300));
    stranger.socket.end();
    const arrived = await orPort.accept(lab.quiet);
    const isThrough = Buffer.isBuffer(await arrived?.take(1, lab.quiet));
    const clauses = lab.facts.pair === undefined ? 'PT-3.2.3-17' : 'PT-2-03 PT-3.2.3-17';
    lab.judge(clauses, !isThrough, {
      sent: 'HTTP requests to the server’s port',
      came: isThrough ? 'bytes of them at the ORPort' : 'nothing at the ORPort',
      expected: 'nothing at the ORPort from who does not speak the transport',
    });
  },
};

const wrongVersion: PtCheck = {
  clauses: 'PT-2-07',
  title: 'a greeting of no version of SOCKS',
  needs: 'client',
  async run(lab) {
    await using run = await lab.settled('client');
    using wire = await lab.dial(run, lab.mainName('client'));
    if (wire === undefined) return;
    wire.write(Buffer.of(9, 1, 0));
    const answer = await wire.ending(lab.patience);
    const judge = lab.on('a greeting of SOCKS version 9', `the connection: ${answer}`);
    judge('PT-2-07', answer !== 'silent', 'a refusal, or the end of the connection');
  },
};

/** Fills a list up to a length with an argument that no transport knows, so that what matters stands last. */
function padded(args: Uint8Array, length: number): Buffer | undefined {
  const missing = length - args.length - 'pad=;'.length;
  return missing < 0
    ? undefined
    : Buffer.concat([Buffer.from(`pad=${'x'.repeat(missing)};`), args]);
}

/** The 255th byte, the last of the username, is a backslash, and what it escapes begins the password. */
function splitInEscape(args: Uint8Array): Buffer | undefined {
  const list = Buffer.concat([Buffer.from(`pad=${'x'.repeat(250)}\\;;`), args]);
  return list.length <= MAX_SOCKS5_BYTES ? list : undefined;
}

const lengths: PtCheck = {
  clauses: 'PT-3.5-01 PT-3.5-05',
  title: 'arguments: none, wrong, malformed, and of 254 to 510 bytes',
  needs: 'pair',
  async run(lab) {
    await using pair = await Pair.open(lab);
    if (pair.args.length === 0) {
      throw new Unjudged(`${pair.name} takes no arguments`);
    }
    const { encodedArgs } = pair;
    const { patience } = lab;
    const refused = async (clause: string, args: Uint8Array, what: string): Promise<void> => {
      const connection = await pair.connect({ args });
      using app = connection.app;
      const { isOpen, answer } = connection.outcome;
      const isCarried = isOpen && (await pair.carries(connection, 'hello'));
      const sent = `a SOCKS request with ${what}`;
      const judge = lab.on(sent, Pair.describe(connection, isCarried));
      judge(clause, !isOpen && answer !== 'silent', 'a refusal, without hanging');
      if (clause !== 'PT-3.5-05') return;
      const ending = await app.ending(patience);
      lab.judge(clause, ending !== 'silent', {
        sent,
        came: `${describeOutcome(connection.outcome)}; the connection: ${ending}`,
        expected: 'the end of the connection behind the refusal',
      });
    };
    const [[key]] = pair.args as [readonly [string, string]];
    const behind = (text: string): Buffer => Buffer.concat([encodedArgs, Buffer.from(text)]);
    for (const [clause, args, what] of [
      ['PT-3.5-01', Buffer.alloc(0), 'no arguments'],
      ['PT-3.5-01', encodeSocksArguments([[key, 'x']]), 'a wrong value'],
      ['PT-3.5-05', Buffer.from('x'), 'an argument without "="'],
      ['PT-3.5-05', behind(';=x'), 'an empty key'],
      ['PT-3.5-05', behind(';a=b\\'), 'a lone backslash'],
    ] as const) {
      await refused(clause, args, what);
    }

    const accepted = async (args: Uint8Array, what: string): Promise<void> => {
      const connection = await pair.connect({ args });
      using _app = connection.app;
      const isCarried = await pair.carries(connection, 'hello');
      const judge = lab.on(`a SOCKS request with ${what}`, Pair.describe(connection, isCarried));
      judge('PT-3.5-05', isCarried, 'an open connection');
    };
    await accepted(encodedArgs, `the published arguments, ${encodedArgs.length} bytes`);
    for (const length of [254, 255, 256, 510]) {
      const args = padded(encodedArgs, length);
      if (args !== undefined) await accepted(args, `arguments of ${length} bytes`);
    }
    const version = socksVersion(pair.client, pair.name);
    const split = version === 'socks5' ? splitInEscape(encodedArgs) : undefined;
    if (split !== undefined) await accepted(split, 'arguments with an escape across both fields');
    const second = await pair.connect();
    const bad = await pair.connect({ args: encodeSocksArguments([[key, 'x']]) });
    lab.judge('PT-3.5-05', second.outcome.isOpen && !bad.outcome.isOpen, {
      sent: 'two connections at once, one with a wrong argument',
      came: `${describeOutcome(second.outcome)}; ${describeOutcome(bad.outcome)}`,
      expected: 'one open and one refused: arguments belong to a connection',
    });
  },
};

const options: PtCheck = {
  clauses: 'PT-3.2.3-04 PT-3.2.3-06 PT-3.2.3-08',
  title: 'server options that show in ARGS',
  needs: 'server',
  async run(lab) {
    const name = lab.mainName('server');
    const option = lab.options.shownOptions.get(name);
    if (option === undefined) {
      lab.pass('PT-3.2.3-06', `no option of ${name} is known to show in its ARGS`);
      return;
    }
    const [key = '', value = ''] = option.split('=');
    const cases = [
      ['PT-3.2.3-04', `${name}:${key}=${value}`],
      ['PT-3.2.3-04', `other_one:${key}=x;${name}:${key}=${value}`],
      ['PT-3.2.3-06', `${name}:${key}=\\${value}`],
      ['PT-3.2.3-08', `automata:rule=110;automata:depth=3;${name}:${key}=${value}`],
    ] as const;
    for (const [clause, text] of cases) {
      const changes = { TOR_PT_SERVER_TRANSPORT_OPTIONS: text };
      await using run = await lab.settled('server', changes);
      const line = run.lines.find((each) => each.startsWith('SMETHOD')) ?? '';
      const judge = lab.on(run.what, line === '' ? run.lines.join(' / ') : line);
      judge(clause, line.includes(`${key}=${value}`), `${key}=${value} in the ARGS of ${name}`);
    }
  },
};

export const trafficChecks: readonly PtCheck[] = [
  carrying,
  ends,
  comingAndGoing,
  strangers,
  wrongVersion,
  lengths,
  options,
];

/** What the username and the password of SOCKS5 carry together (RFC 1929). */
const MAX_SOCKS5_BYTES = 510;
