/** The connection against a Tor in name only: what is asked, what is answered, and all that breaks. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { controlSafeCookieHash } from '../../src/crypto/safe-cookie.ts';
import { TorRefusal } from '../../src/tor-control/messages.ts';
import { connectTorControl, type TorControlOptions } from '../../src/tor-control/node/connect.ts';
import type { TorControl } from '../../src/tor-control/node/control.ts';
import { limits } from '../../src/limits.ts';
import { startFakeTor, type FakeAnswer, type FakeTor } from '../support/fake-tor.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { closedPort } from '../support/sockets.ts';

const closed = { code: 'ERR_TOR_CONTROL_CLOSED' };

async function connected(
  t: TestContext,
  answers: Readonly<Record<string, FakeAnswer>> = {},
  options: Partial<TorControlOptions> = {},
): Promise<{ control: TorControl; tor: FakeTor }> {
  const tor = await startFakeTor(t, answers);
  const control = await connectTorControl({
    endpoint: tor.endpoint,
    ...options,
  } as TorControlOptions);
  t.after(() => control.abort());
  tor.received.length = 0;
  return { control, tor };
}

describe('typed commands', () => {
  test('GETINFO', async (t) => {
    const { control, tor } = await connected(t, {
      GETINFO:
        '250-version=0.4.9.11\r\n250-a=b=c\r\n250+config-text=\r\nA 1\r\n..\r\n.\r\n250-empty=\r\n250 OK',
    });
    const values = await control.getInfo('version', 'a', 'config-text', 'empty');
    assert.deepEqual(
      [...values],
      [
        ['version', '0.4.9.11'],
        ['a', 'b=c'],
        ['config-text', 'A 1\n.'],
        ['empty', ''],
      ],
    );
    assert.deepEqual(tor.received, ['GETINFO version a config-text empty']);
  });

  test('GETCONF: in Tor’s order, lists, quoted values, unset ones; none without asking', async (t) => {
    const { control, tor } = await connected(t, {
      GETCONF:
        '250-Log=notice stdout\r\n250-Log=warn file "x"\r\n250-ContactInfo="a # \\303\\251"\r\n250 ExitPolicy',
    });
    assert.deepEqual(await control.getConf(['Log', 'ContactInfo', 'ExitPolicy']), [
      { key: 'Log', value: 'notice stdout' },
      { key: 'Log', value: 'warn file "x"' },
      { key: 'ContactInfo', value: 'a # é' },
      { key: 'ExitPolicy', value: undefined },
    ]);
    assert.deepEqual(await control.getConf([]), []);
    assert.deepEqual(tor.received, ['GETCONF Log ContactInfo ExitPolicy']);
  });

  test('MAPADDRESS', async (t) => {
    const { control } = await connected(t, {
      MAPADDRESS: '250-127.192.0.1=www.example.com\r\n250 [::1]=b.example',
    });
    const pairs = [
      { original: '0.0.0.0', replacement: 'www.example.com' },
      { original: '[::1]', replacement: 'b.example' },
    ];
    assert.deepEqual(await control.mapAddress(pairs), [
      { original: '127.192.0.1', replacement: 'www.example.com' },
      pairs[1],
    ]);
    assert.deepEqual(await control.mapAddress([]), []);
  });

  test('MAPADDRESS that succeeds in part is refused, and tells what was done', async (t) => {
    const { control } = await connected(t, {
      MAPADDRESS:
        "250-1.2.3.4=9.9.9.9\r\n512-syntax error: invalid address '!!'\r\n250 a.virtual=b.example",
    });
    const pair = { original: '1.2.3.4', replacement: '9.9.9.9' };
    await assert.rejects(control.mapAddress([pair]), (error: unknown) => {
      assert.ok(error instanceof TorRefusal);
      assert.equal(error.status, 512);
      assert.equal(error.text, "syntax error: invalid address '!!'");
      assert.equal(error.reply.lines[0]?.text, '1.2.3.4=9.9.9.9');
      return true;
    });
  });

  test('and all the others, on the wire', async (t) => {
    const { control, tor } = await connected(t);
    await Promise.all([
      control.setConf([{ key: 'Nickname', value: 'a "b"' }, { key: 'ExitPolicy' }]),
      control.resetConf([{ key: 'Nickname' }]),
      control.loadConf('Nickname a\n.\n'),
      control.saveConf(),
      control.signal('NEWNYM'),
      control.setEvents(['CIRC', 'BW']),
      control.setEvents([]),
      control.closeCircuit('7'),
      control.closeCircuit('7', { ifUnused: true }),
      control.closeStream('8'),
      control.closeStream('8', 6),
      control.takeOwnership(),
      control.command('EXTENDCIRCUIT 0 purpose=general'),
    ]);
    assert.deepEqual(tor.received, [
      'SETCONF Nickname="a \\"b\\"" ExitPolicy',
      'RESETCONF Nickname',
      '+LOADCONF',
      'Nickname a',
      '..',
      '.',
      'SAVECONF',
      'SIGNAL NEWNYM',
      'SETEVENTS CIRC BW',
      'SETEVENTS',
      'CLOSECIRCUIT 7',
      'CLOSECIRCUIT 7 IfUnused',
      'CLOSESTREAM 8 1',
      'CLOSESTREAM 8 6',
      'TAKEOWNERSHIP',
      'EXTENDCIRCUIT 0 purpose=general',
    ]);
  });

  test('an answer of another form is the fault of Tor, and of this command only', async (t) => {
    const { control } = await connected(t, {
      GETINFO: '250-version\r\n250 OK',
      MAPADDRESS: '250 OK',
    });
    const expected = { code: 'ERR_TOR_CONTROL_PROTOCOL' };
    await assert.rejects(control.getInfo('version'), expected);
    await assert.rejects(control.mapAddress([{ original: 'a', replacement: 'b' }]), expected);
    await control.saveConf();
  });
});

describe('replies', () => {
  test('a refusal has Tor’s status and words, with nothing that could move a cursor', async (t) => {
    const { control } = await connected(t, {
      GETINFO: '552-Unrecognized key "a"\r\n552 Unrecognized \x1b[2J\x07key "b"',
      SAVECONF: '451 Resource exhausted',
    });
    await assert.rejects(control.getInfo('a', 'b'), {
      name: 'TorRefusal',
      code: 'ERR_TOR_CONTROL_REFUSED',
      status: 552,
      text: 'Unrecognized key "a"; Unrecognized  [2J key "b"',
    });
    await assert.rejects(control.saveConf(), { status: 451, message: /451: Resource exhausted/ });
  });

  test('come in the order of the commands, with events between them', async (t) => {
    const { control, tor } = await connected(t, {
      GETINFO: (line, socket) => {
        const key = line.split(' ')[1]!;
        socket.write(`650 BW ${key} 0\r\n250-${key}=${key}\r\n250 OK\r\n650 BW 0 ${key}\r\n`);
      },
      SAVECONF: '551 Unable to write configuration to disk.',
    });
    const bandwidths: number[] = [];
    control.onEvent((event) => {
      if (event.type === 'bandwidth') bandwidths.push(event.readBytes - event.writtenBytes);
    });
    const asked = ['1', '2', '3'].map((key) => control.getInfo(key));
    const refused = assert.rejects(control.saveConf(), { status: 551 });
    const last = await control.getInfo('4');
    await refused;
    const values = (await Promise.all(asked)).flatMap((each) => [...each.values()]);
    assert.deepEqual([...values, ...last.values()], ['1', '2', '3', '4']);
    assert.deepEqual(bandwidths.slice(0, 7), [1, -1, 2, -2, 3, -3, 4]);
    assert.equal(tor.received.length, 5);
  });

  test('so many commands may wait, and no more', async (t) => {
    const { control } = await connected(t, { GETINFO: () => {} });
    const asked = Array.from({ length: limits.torControlCommands }, () => control.getInfo('a'));
    await assert.rejects(control.getInfo('a'), { code: 'ERR_TOR_CONTROL_BUSY' });
    control.abort();
    const results = await Promise.allSettled(asked);
    assert.ok(results.every((result) => result.status === 'rejected'));
    assert.equal(await control.closed, undefined);
  });

  test('a command that cannot be sent leaves the others alone', async (t) => {
    const { control, tor } = await connected(t);
    const before = control.saveConf();
    await assert.rejects(control.command('SAVECONF\r\nQUIT'), { code: 'ERR_TOR_CONTROL_COMMAND' });
    await assert.rejects(control.getInfo('a b'), { code: 'ERR_TOR_CONTROL_COMMAND' });
    await Promise.all([before, control.signal('RELOAD')]);
    assert.deepEqual(tor.received, ['SAVECONF', 'SIGNAL RELOAD']);
  });
});

describe('the end', () => {
  test('close lets Tor answer what was asked, is idempotent, and ends events', async (t) => {
    const { control, tor } = await connected(t, { GETINFO: '250-a=1\r\n250 OK' });
    const events = control.events();
    const asked = control.getInfo('a');
    await Promise.all([control.close(), control.close(), control[Symbol.asyncDispose]()]);
    assert.equal((await asked).get('a'), '1');
    assert.deepEqual(tor.received, ['GETINFO a', 'QUIT']);
    assert.equal(await control.closed, undefined);
    assert.deepEqual(await events.next(), { done: true, value: undefined });
    assert.deepEqual(await control.events().next(), { done: true, value: undefined });
    await assert.rejects(control.saveConf(), closed);
    await control.close();
  });

  test('close does not wait for ever for a Tor that answers nothing', async (t) => {
    const timers = new HandTimers();
    const { control } = await connected(t, { GETINFO: () => {}, QUIT: () => {} }, { timers });
    const asked = assert.rejects(control.getInfo('a'), closed);
    const closing = control.close();
    await assert.rejects(control.saveConf(), closed);
    await timers.fire(limits.closeLingerMs);
    await Promise.all([closing, asked]);
    assert.equal(await control.closed, undefined);
    assert.deepEqual(timers.delays, []);
  });

  test('close works as well when too many commands wait', async (t) => {
    const { control } = await connected(t, { GETINFO: () => {} });
    const asked = Array.from({ length: limits.torControlCommands }, () => control.getInfo('a'));
    const all = Promise.allSettled(asked);
    await control.close();
    assert.ok((await all).every((result) => result.status === 'rejected'));
  });

  test('Tor dies in the middle of a reply', async (t) => {
    const { control } = await connected(t, {
      GETINFO: (_line, socket) => void socket.end('250-version=0.4.9.11\r\n250 O'),
    });
    const events = control.events();
    const asked = [control.getInfo('version'), control.saveConf()];
    for (const each of asked) await assert.rejects(each, closed);
    assert.equal((await control.closed)?.code, closed.code);
    await assert.rejects(events.next(), closed);
    assert.deepEqual(await events.next(), { done: true, value: undefined });
    await assert.rejects(control.saveConf(), closed);
  });

  test('the connection is reset', async (t) => {
    const { control } = await connected(t, {
      GETINFO: (_line, socket) => void socket.resetAndDestroy(),
    });
    await assert.rejects(control.getInfo('version'), closed);
    assert.equal((await control.closed)?.code, closed.code);
  });

  test('a broken protocol ends the connection, and everything that waits fails with the reason', async (t) => {
    const cases = {
      'nonsense\r\n': 'ERR_TOR_CONTROL_PROTOCOL',
      '250 OK\r\n250 OK\r\n250 OK\r\n': 'ERR_TOR_CONTROL_PROTOCOL',
      [`250 ${'x'.repeat(limits.torControlLineBytes)}`]: 'ERR_BYTES_OVERFLOW',
    };
    for (const [text, code] of Object.entries(cases)) {
      const { control, tor } = await connected(t, {
        GETINFO: (_line, socket) => void socket.write(text),
      });
      const asked = Promise.allSettled([
        control.command('GETINFO a'),
        control.command('GETINFO b'),
      ]);
      assert.equal((await control.closed)?.code, code);
      await asked;
      await assert.rejects(control.saveConf(), { code });
      await tor.left();
    }
  });

  test('a malformed event ends nothing', async (t) => {
    const { control, tor } = await connected(t);
    const events = control.events();
    tor.say('650 CIRC ?', '650 BW 1 2');
    assert.equal((await events.next()).value?.type, 'malformed');
    assert.equal((await events.next()).value?.type, 'bandwidth');
    await control.saveConf();
  });

  test('a Tor that does not answer in time is given up; a deadline is for each reply', async (t) => {
    const timers = new HandTimers();
    let socketOf: (() => void) | undefined;
    const { control } = await connected(
      t,
      { GETINFO: (_line, socket) => void (socketOf = () => socket.write('250-a=1\r\n250 OK\r\n')) },
      { timers, replyTimeoutMs: 4_321 },
    );
    assert.deepEqual(timers.delays, []);
    const first = control.getInfo('a');
    const second = control.getInfo('b');
    assert.deepEqual(timers.delays, [4_321]);
    while (socketOf === undefined) await new Promise(setImmediate);
    socketOf();
    await first;
    assert.deepEqual(timers.delays, [4_321]);
    const rejected = assert.rejects(second, { code: 'ERR_TOR_CONTROL_TIMED_OUT' });
    await timers.fire(4_321);
    await rejected;
    assert.equal((await control.closed)?.code, 'ERR_TOR_CONTROL_TIMED_OUT');
    assert.deepEqual(timers.delays, []);
  });
});

describe('getting in', () => {
  const cookie = Buffer.alloc(32, 7);

  /** A Tor that offers these methods and names this cookie file. */
  function offers(methods: string, path = '/nowhere'): { PROTOCOLINFO: string } {
    return { PROTOCOLINFO: `250-AUTH METHODS=${methods} COOKIEFILE="${path}"\r\n250 OK` };
  }

  async function cookieFile(t: TestContext, content: Uint8Array = cookie): Promise<string> {
    const path = join(temporaryDirectory(t), 'control_auth_cookie');
    await writeFile(path, content, { mode: 0o640 });
    return path;
  }

  async function attempt(
    t: TestContext,
    answers: Readonly<Record<string, FakeAnswer>>,
    options: Partial<TorControlOptions> = {},
  ): Promise<{ error: unknown; received: readonly string[]; tor: FakeTor }> {
    const tor = await startFakeTor(t, answers);
    const all = { endpoint: tor.endpoint, ...options } as TorControlOptions;
    const error = await connectTorControl(all).then(
      (control) => control.abort(),
      (reason: unknown) => reason,
    );
    return { error, received: tor.received, tor };
  }

  function codeOf(error: unknown): string | undefined {
    return (error as { code?: string } | undefined)?.code;
  }

  /** Answers a challenge as one who knows `known`. */
  function challenge(known: Uint8Array): FakeAnswer {
    return (line, socket) => {
      const clientNonce = Buffer.from(line.split(' ')[2]!, 'hex');
      const nonce = Buffer.alloc(32, 9);
      const hash = controlSafeCookieHash('server-to-controller', known, clientNonce, nonce);
      const [hashHex, nonceHex] = [hash.toString('hex'), nonce.toString('hex')];
      socket.write(`250 AUTHCHALLENGE SERVERHASH=${hashHex} SERVERNONCE=${nonceHex}\r\n`);
    };
  }

  test('by SAFECOOKIE, with a new nonce each time and never the cookie itself', async (t) => {
    const path = await cookieFile(t);
    const answers = { ...offers('COOKIE,SAFECOOKIE', path), AUTHCHALLENGE: challenge(cookie) };
    const runs = [await attempt(t, answers), await attempt(t, answers)];
    for (const { error, received } of runs) {
      assert.equal(error, undefined);
      const clientNonce = Buffer.from(received[1]!.split(' ')[2]!, 'hex');
      assert.equal(clientNonce.length, 32);
      const nonce = Buffer.alloc(32, 9);
      const proof = controlSafeCookieHash('controller-to-server', cookie, clientNonce, nonce);
      assert.equal(received[2], `AUTHENTICATE ${proof.toString('hex')}`);
      assert.ok(!received.join().includes(cookie.toString('hex')));
    }
    assert.notEqual(runs[0]!.received[1], runs[1]!.received[1]);
  });

  test('not past one who does not know the cookie', async (t) => {
    const path = await cookieFile(t);
    const { error, received, tor } = await attempt(t, {
      ...offers('COOKIE,SAFECOOKIE', path),
      AUTHCHALLENGE: challenge(Buffer.alloc(32, 8)),
    });
    assert.equal(codeOf(error), 'ERR_TOR_CONTROL_FALSE_SERVER');
    assert.equal(received.length, 2, 'nothing is said to it any more');
    await tor.left();
  });

  test('by the cookie itself only from a file that the caller named', async (t) => {
    const cookiePath = await cookieFile(t);
    const named = await attempt(t, offers('COOKIE'), { cookiePath });
    assert.equal(named.error, undefined);
    assert.equal(named.received[1], `AUTHENTICATE ${cookie.toString('hex')}`);
    const unnamed = await attempt(t, offers('COOKIE', cookiePath));
    assert.equal(codeOf(unnamed.error), 'ERR_TOR_CONTROL_AUTHENTICATION');
    assert.equal(unnamed.received.length, 1);
  });

  test('not with a cookie file that is none', async (t) => {
    const paths = [
      await cookieFile(t, cookie.subarray(1)),
      await cookieFile(t, Buffer.alloc(33)),
      await cookieFile(t, Buffer.alloc(0)),
      join(temporaryDirectory(t), 'missing'),
      temporaryDirectory(t),
    ];
    for (const path of paths) {
      const { error, received } = await attempt(t, offers('SAFECOOKIE', path));
      assert.equal(codeOf(error), 'ERR_CONTROL_COOKIE', path);
      assert.deepEqual(received, ['PROTOCOLINFO 1']);
    }
  });

  test('by password, in hex, before the cookie', async (t) => {
    const { error, received } = await attempt(t, offers('COOKIE,SAFECOOKIE,HASHEDPASSWORD'), {
      password: 'é "\\\n',
    });
    assert.equal(error, undefined);
    assert.equal(received[1], 'AUTHENTICATE c3a920225c0a');
  });

  test('not where Tor refuses; and no secret gets into the error', async (t) => {
    const secret = 'hush-hush';
    const hex = Buffer.from(secret).toString('hex');
    const { error } = await attempt(
      t,
      {
        ...offers('HASHEDPASSWORD'),
        AUTHENTICATE: (line, socket) => void socket.end(`515 Not ${line} ${secret}\r\n`),
      },
      { password: secret },
    );
    assert.equal(codeOf(error), 'ERR_TOR_CONTROL_AUTHENTICATION');
    assert.match(String(error), /HASHEDPASSWORD.*515/);
    const told = JSON.stringify([error, String((error as Error).stack), (error as Error).cause]);
    assert.ok(!told.includes(secret) && !told.includes(hex), told);
    const path = await cookieFile(t);
    const challenged = await attempt(t, {
      ...offers('SAFECOOKIE', path),
      AUTHCHALLENGE: '513 AUTHCHALLENGE only supports SAFECOOKIE authentication',
    });
    assert.equal(codeOf(challenged.error), 'ERR_TOR_CONTROL_AUTHENTICATION');
    assert.match(String(challenged.error), /SAFECOOKIE.*513/);
  });

  test('not by a way that is unknown, or where PROTOCOLINFO is', async (t) => {
    const unknown = await attempt(t, offers('FUTURE'), { password: 'x' });
    assert.equal(codeOf(unknown.error), 'ERR_TOR_CONTROL_AUTHENTICATION');
    const old = await attempt(t, { PROTOCOLINFO: '510 Unrecognized command "PROTOCOLINFO"' });
    assert.equal(codeOf(old.error), 'ERR_TOR_CONTROL_REFUSED');
    const strange = await attempt(t, { PROTOCOLINFO: '250 OK' });
    assert.equal(codeOf(strange.error), 'ERR_TOR_CONTROL_PROTOCOL');
    const ssh = await attempt(t, { PROTOCOLINFO: 'SSH-2.0-OpenSSH_9.2' });
    assert.equal(codeOf(ssh.error), 'ERR_TOR_CONTROL_PROTOCOL');
    const dying = await attempt(t, { PROTOCOLINFO: (_line, socket) => void socket.end() });
    assert.equal(codeOf(dying.error), 'ERR_TOR_CONTROL_CLOSED');
  });

  test('not where nobody is', async (t) => {
    await assert.rejects(connectTorControl({ endpoint: await closedPort() }), {
      code: 'ERR_DIAL_REFUSED',
    });
    const path = join(temporaryDirectory(t), 'control');
    await assert.rejects(connectTorControl({ path }), { code: 'ERR_DIAL_REFUSED' });
  });

  test('is given up in time, or when the caller says so', async (t) => {
    const tor = await startFakeTor(t, { PROTOCOLINFO: () => {} });
    const { endpoint } = tor;
    const timers = new HandTimers();
    const late = assert.rejects(connectTorControl({ endpoint, timers, timeoutMs: 1_234 }), {
      code: 'ERR_TOR_CONTROL_TIMED_OUT',
    });
    // Only once it waits for Tor, not while it dials.
    await timers.isSet(limits.torControlReplyMs);
    await timers.fire(1_234);
    await late;
    assert.deepEqual(timers.delays, []);

    const caller = new AbortController();
    const reason = new Error('enough');
    const aborted = assert.rejects(
      connectTorControl({ endpoint, timers, signal: caller.signal }),
      (error: unknown) => error === reason,
    );
    await timers.isSet(limits.torControlReplyMs);
    caller.abort(reason);
    await aborted;
    assert.deepEqual(timers.delays, []);
    await assert.rejects(connectTorControl({ endpoint, signal: caller.signal }), reason);
    await tor.left();
  });
});
