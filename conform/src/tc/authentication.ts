/** Who is let in (TC 1, 3.1, 3.8 and 4.1). */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { randomBytes } from 'node:crypto';
import { type Endpoint, isLoopback, parseIpEndpoint } from 'postern/pt';
import { localListeners } from '../sandbox.ts';
import {
  describeFrame,
  type Frame,
  getConf,
  mapAddress,
  message,
  setConf,
  setEvents,
  signal,
  Type,
} from './frames.ts';
import { UNKNOWN_SIGNAL } from './messages.ts';
import { done, error, isSame, type TcCheck, values } from './check.ts';

const OPEN = 'it lets in whoever may open its socket, without AUTHENTICATE';

const locked: TcCheck = {
  clauses: 'TC-3.1-10 TC-4.1-01 TC-4.1-02 TC-3.8-02',
  title: 'requests before AUTHENTICATE',
  async run(lab) {
    const { access, known, number } = lab.facts;
    const isSocket = 'socketPath' in lab.options.address;
    if (access === 'open') {
      const first = await lab.connect();
      const request = getConf(known[0]);
      const answer = await first.ask(request);
      lab.judge(isSocket ? 'TC-4.1-02' : 'TC-3.1-10 TC-4.1-01', isSocket, {
        sent: `${describeFrame(request)} before AUTHENTICATE`,
        came: answer.frames.map(describeFrame).join(', '),
        expected: isSocket ? 'a CONFVALUE' : error(0x0007).text,
      });
      if (isSocket) lab.pass('TC-3.1-10 TC-3.1-11 TC-3.8-02', OPEN, 'not applicable');
      return;
    }
    const ids = access === 'trusting' ? 'TC-3.1-10 TC-4.1-01' : 'TC-3.1-10';
    const [session, other] = [await lab.connect(), await lab.connect()];
    const watcher = await lab.open();
    if (number !== undefined) await lab.borrow(watcher, number.key);
    const refused: readonly Frame[] = [
      getConf(known[0]),
      ...(number === undefined ? [] : [setConf(`${number.key} ${number.value + 1}\n`)]),
      setEvents(0x0004),
      signal(UNKNOWN_SIGNAL),
      mapAddress('192.0.2.1', '192.0.2.1'),
      message(Type.getAllMappings),
      message(0x1234),
      message(Type.done),
      ...(lab.options.permissions.saveconf === true ? [message(Type.saveConf)] : []),
    ];
    for (const request of refused) {
      await session.expect(ids, request, error(0x0007), 'before AUTHENTICATE');
    }
    if (number !== undefined) {
      const lines = await lab.linesOf(watcher, number.key);
      lab.judge(ids, isSame(lines, [`${number.key} ${number.value}`]), {
        sent: `a SETCONF of ${number.key} before AUTHENTICATE`,
        came: `afterwards: ${lines?.join(', ') ?? 'no CONFVALUE'}`,
        expected: 'no effect',
      });
    }
    const right = access === 'trusting' ? 'TC-4.1-01 TC-3.8-02' : 'TC-3.8-02';
    await session.expect(right, lab.authenticate, done, 'with the right secret');
    const asked = getConf(known[0]);
    const lines = (await lab.linesOf(watcher, known[0])) ?? [];
    await session.expect(ids, asked, values(...lines), 'after AUTHENTICATE');
    const elsewhere = 'on a connection without AUTHENTICATE, while another has it';
    await other.expect(ids, asked, error(0x0007), elsewhere);
  },
};

const wrong: TcCheck = {
  clauses: 'TC-3.1-11 TC-3.8-02 TC-4.1-01 TC-4.1-03 TC-4.1-04',
  title: 'wrong secrets',
  async run(lab) {
    const { access, known } = lab.facts;
    const { secret } = lab.options;
    const method = access === 'trusting' ? 'TC-4.1-01' : methods[secret?.kind ?? 'none'];
    if (access === 'open' || method === undefined) return;
    const right = Buffer.from(secret?.bytes ?? '');
    const asked = getConf(known[0]);
    const wrongs: readonly (readonly [string, Buffer])[] = [
      ['32 random octets', Buffer.from(randomBytes(32))],
      ...(right.length === 0
        ? []
        : ([
            ['one bit of the secret turned', turned(right)],
            ['an empty secret', Buffer.alloc(0)],
            ['the secret without its last octet', right.subarray(0, -1)],
            ['the secret with one octet more', Buffer.concat([right, Buffer.of(0)])],
          ] as const)),
    ];
    const ids = `TC-3.1-11 TC-3.8-02 ${method}`;
    for (const [what, body] of wrongs) {
      const session = await lab.connect();
      await session.expect(ids, message(Type.authenticate, body), error(0x0008), what);
      const when = `after ${what}`;
      await session.expect('TC-3.8-02', asked, error(0x0007), when);
      await session.expect(`TC-3.8-02 ${method}`, lab.authenticate, done, when);
      session.close();
    }
    const session = await lab.open();
    const [what, body] = wrongs[0]!;
    const again = `${what}, on an open connection`;
    await session.expect(ids, message(Type.authenticate, body), error(0x0008), again);
    const lines = (await lab.linesOf(await lab.open(), known[0])) ?? [];
    await session.expect('TC-3.8-02', asked, values(...lines), `after ${again}`);
  },
};

/** Which way of authentication a secret stands for. */
const methods: Readonly<Record<string, string>> = {
  cookie: 'TC-4.1-03',
  passphrase: 'TC-4.1-04',
};

function turned(secret: Buffer): Buffer {
  const copy = Buffer.from(secret);
  copy[copy.length - 1]! ^= 1;
  return copy;
}

const keeping: TcCheck = {
  clauses: 'TC-4.1-03 TC-4.1-04',
  title: 'how the secret is kept',
  async run(lab) {
    const { secret } = lab.options;
    const given = secret === undefined ? undefined : `the ${secret.kind} is what was given`;
    if (secret?.kind !== 'cookie') {
      lab.pass('TC-4.1-03', given ?? 'no --cookie was given');
    }
    if (secret?.kind !== 'passphrase') {
      lab.pass('TC-4.1-04', given ?? 'no --password-file was given');
    }
    if (lab.facts.access !== 'trusting') {
      const reason =
        lab.facts.access === 'open' ? OPEN : `it was examined with its ${secret!.kind}`;
      lab.pass('TC-4.1-01', reason);
    }
    if (secret?.kind === 'cookie' && secret.path !== undefined) {
      const mode = statSync(secret.path).mode & 0o777;
      lab.judge('TC-4.1-03', (mode & 0o077) === 0, {
        sent: 'nothing',
        came: `a cookie file with mode ${mode.toString(8).padStart(4, '0')}`,
        expected: 'a file that only its owner can read',
      });
    }
    if (secret?.kind === 'passphrase') {
      const session = await lab.open();
      const key = 'HashedControlPassword';
      const lines = await lab.linesOf(session, key);
      const passphrase = Buffer.from(secret.bytes).toString();
      if (lines === undefined) return;
      lab.judge('TC-4.1-04', !lines.some((line) => line.includes(passphrase)), {
        sent: `GETCONF “${key}”`,
        came: 'the passphrase itself',
        expected: 'its hash',
      });
    }
  },
};

const listener: TcCheck = {
  clauses: 'TC-1-04 TC-4.1-02 TC-4.1-05',
  title: 'where it listens',
  async run(lab) {
    const { address } = lab.options;
    if ('socketPath' in address) {
      const [file, folder] = [address.socketPath, dirname(address.socketPath)].map(
        (path) => statSync(path).mode & 0o777,
      );
      const came = `mode ${file!.toString(8).padStart(4, '0')}, in a directory with ${folder!.toString(8).padStart(4, '0')}`;
      lab.judge('TC-1-04 TC-4.1-02', (file! & 0o077) === 0 || (folder! & 0o077) === 0, {
        sent: 'nothing',
        came,
        expected: 'a socket that only its owner can open',
      });
      lab.pass('TC-4.1-05', 'what was examined is a socket file');
      return;
    }
    lab.pass('TC-4.1-02', 'what was examined is no socket file', 'not applicable');
    const ids = 'TC-1-04 TC-4.1-05';
    const bound = boundAddresses(address);
    if (bound === undefined) {
      lab.pass(ids, 'nobody tells here on which addresses a port listens');
      return;
    }
    lab.judge(ids, bound.every(isLoopback), {
      sent: 'nothing',
      came: `a listener on ${bound.join(', ')}`,
      expected: 'a listener on a loopback address',
    });
  },
};

/** The addresses on which a port listens that we reach at `host`; undefined where nobody says. */
function boundAddresses(endpoint: Endpoint): readonly string[] | undefined {
  if (!isLoopback(endpoint.host)) return [endpoint.host];
  const bound = localListeners()
    ?.map(parseIpEndpoint)
    .filter((each) => each?.port === endpoint.port);
  const hosts = bound?.map((each) => each!.host) ?? [];
  if (hosts.includes(endpoint.host)) return [endpoint.host];
  const wildcards = hosts.filter((host) => host === '0.0.0.0' || host === '::');
  return wildcards.length === 0 ? undefined : wildcards;
}

export const authenticationChecks: readonly TcCheck[] = [locked, wrong, keeping, listener];
