import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PosternError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { createSocksClient } from '../../src/socks/client.ts';
import { encodeReply4, encodeReply5 } from '../../src/socks/encode.ts';
import type { SocksCredentials, SocksRequest } from '../../src/socks/messages.ts';
import { createSocksServer, type SocksServer } from '../../src/socks/server.ts';
import { feed, feedings, sentBytes } from '../support/feed.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');

interface Outcome {
  readonly sent: string;
  readonly request?: unknown;
  readonly leftover?: string;
  readonly error?: string;
}

function run(chunks: Uint8Array[], accept: (credentials: SocksCredentials) => void): Outcome {
  const server = createSocksServer({ accept });
  const { actions, rest } = feed((chunk) => server.receive(chunk), chunks, ['done', 'failed']);
  const last = actions.findLast(({ type }) => type !== 'send');
  const sent = sentBytes(actions).toString('hex');
  if (last?.type === 'done') {
    const leftover = Buffer.concat([last.leftover, rest]).toString('latin1');
    return { sent, request: plain(last.result), leftover };
  }
  return last?.type === 'failed' ? { sent, error: last.error.code } : { sent };
}

function plain({ version, target, credentials }: SocksRequest): unknown {
  const texts = Object.entries(credentials).map(([key, value]) => [
    key,
    typeof value === 'string' ? value : Buffer.from(value as Uint8Array).toString('latin1'),
  ]);
  return { version, target, credentials: Object.fromEntries(texts) as unknown };
}

function everyWay(bytes: Uint8Array, expected: Outcome, accept = (): void => {}): void {
  for (const chunks of feedings(bytes)) assert.deepEqual(run(chunks, accept), expected);
}

const IPV4 = '05 01 00 01 c0 00 02 01 01 bb';

test('[PT-2-07] SOCKS5 without authentication, split in every way, trailing bytes kept', () => {
  everyWay(Buffer.concat([hex('05 01 00'), hex(IPV4), ascii('early bytes')]), {
    sent: '0500',
    request: {
      version: 'socks5',
      target: { host: '192.0.2.1', port: 443 },
      credentials: { type: 'none' },
    },
    leftover: 'early bytes',
  });
});

test('[PT-3.5-05] SOCKS5 with username and password hands both up raw', () => {
  const userPass = Buffer.concat([hex('01 03'), ascii('a=b'), hex('01 00')]);
  everyWay(Buffer.concat([hex('05 02 00 02'), userPass, hex(IPV4)]), {
    sent: '05020100',
    request: {
      version: 'socks5',
      target: { host: '192.0.2.1', port: 443 },
      credentials: { type: 'userPass', username: 'a=b', password: '\0' },
    },
    leftover: '',
  });
});

test('username/password is chosen whenever it is offered, in whatever place', () => {
  for (const [greeting, choice] of [
    ['05 01 00', '0500'],
    ['05 01 02', '0502'],
    ['05 02 02 00', '0502'],
    ['05 03 00 01 02', '0502'],
    ['05 00', '05ff'],
    ['05 01 01', '05ff'],
    ['05 02 80 fe', '05ff'],
  ] as const) {
    const error = choice === '05ff' ? { error: 'ERR_SOCKS_METHOD_UNSUPPORTED' } : {};
    everyWay(hex(greeting), { sent: choice, ...error });
  }
});

test('SOCKS5 targets: IPv6, host names, and names that are IP literals', () => {
  const name = (text: string): Buffer =>
    Buffer.concat([hex('05 01 00 03'), Buffer.of(text.length), ascii(text), hex('00 50')]);
  for (const [request, host] of [
    [hex('05 01 00 04 20010db8 00000000 00000000 00000001 00 50'), '2001:db8::1'],
    [name('bridge.example'), 'bridge.example'],
    [name('a'.repeat(255)), 'a'.repeat(255)],
    [name('2001:DB8:0::1'), '2001:db8::1'],
    [name('192.0.2.7'), '192.0.2.7'],
    [name('[2001:db8::1]'), '2001:db8::1'],
    // The reserved byte is nobody's business.
    [hex('05 01 07 01 c0000201 00 50'), '192.0.2.1'],
  ] as const) {
    everyWay(Buffer.concat([hex('05 01 00'), request]), {
      sent: '0500',
      request: { version: 'socks5', target: { host, port: 80 }, credentials: { type: 'none' } },
      leftover: '',
    });
  }
});

test('SOCKS5 refusals say why in the reply code', () => {
  for (const [request, reply, error] of [
    ['05 02 00 01 7f000001 0050', '07', 'ERR_SOCKS_COMMAND_UNSUPPORTED'],
    ['05 03 00 01 7f000001 0050', '07', 'ERR_SOCKS_COMMAND_UNSUPPORTED'],
    ['05 01 00 02 7f000001 0050', '08', 'ERR_SOCKS_ADDRESS_UNSUPPORTED'],
    ['05 01 00 00 7f000001 0050', '08', 'ERR_SOCKS_ADDRESS_UNSUPPORTED'],
    ['05 01 00 03 06 5b6162635d62 0050', '01', 'ERR_SOCKS_MALFORMED'],
    ['04 01 00 01 7f000001 0050', '01', 'ERR_SOCKS_MALFORMED'],
    ['05 01 00 03 00 0050', '01', 'ERR_SOCKS_MALFORMED'],
    ['05 01 00 03 03 610062 0050', '01', 'ERR_SOCKS_MALFORMED'],
    ['05 01 00 03 04 610d0a62 0050', '01', 'ERR_SOCKS_MALFORMED'],
  ] as const) {
    const bytes = Buffer.concat([hex('05 01 00'), hex(request)]);
    everyWay(bytes, { sent: `050005${reply}0001000000000000`, error });
  }
});

test('[PT-3.5-05] credentials that the driver refuses end SOCKS5 with authentication status 1', () => {
  const refuse = (): void => {
    throw new PosternError('ERR_TRANSPORT_ARGUMENT', 'argument cert is missing');
  };
  const bytes = Buffer.concat([hex('05 01 02 01 01'), ascii('x'), hex('01 00'), hex(IPV4)]);
  everyWay(bytes, { sent: '05020101', error: 'ERR_TRANSPORT_ARGUMENT' }, refuse);
});

test('[PT-3.5-05] credentials that the driver refuses end SOCKS4 with reply 0x5B', () => {
  const refuse = (): void => {
    throw new PosternError('ERR_TRANSPORT_ARGUMENT', 'argument cert is missing');
  };
  const bytes = Buffer.concat([hex('04 01 01bb c0000201'), ascii('x\0')]);
  everyWay(bytes, { sent: '005b000000000000', error: 'ERR_TRANSPORT_ARGUMENT' }, refuse);
});

test('a SOCKS5 client without credentials that the driver refuses gets the error’s reply code', () => {
  const refuse = (): void => {
    throw new PosternError('ERR_DIAL_NOT_ALLOWED', 'credentials are needed');
  };
  const bytes = Buffer.concat([hex('05 01 00'), hex(IPV4)]);
  everyWay(bytes, { sent: '050005020001000000000000', error: 'ERR_DIAL_NOT_ALLOWED' }, refuse);
});

test('RFC 1929: empty fields are taken, a wrong version is not', () => {
  everyWay(Buffer.concat([hex('05 01 02 01 02'), ascii('ab'), hex('00'), hex(IPV4)]), {
    sent: '05020100',
    request: {
      version: 'socks5',
      target: { host: '192.0.2.1', port: 443 },
      credentials: { type: 'userPass', username: 'ab', password: '' },
    },
    leftover: '',
  });
  everyWay(Buffer.concat([hex('05 01 02 01 00 01'), ascii('p'), hex(IPV4)]), {
    sent: '05020100',
    request: {
      version: 'socks5',
      target: { host: '192.0.2.1', port: 443 },
      credentials: { type: 'userPass', username: '', password: 'p' },
    },
    leftover: '',
  });
  everyWay(hex('05 01 02 05 01 61 01 61'), { sent: '05020101', error: 'ERR_SOCKS_MALFORMED' });
});

test('[PT-2-07] SOCKS4 and SOCKS4a on the same listener, split in every way', () => {
  everyWay(Buffer.concat([hex('04 01 01bb c0000201'), ascii('k=v\0early')]), {
    sent: '',
    request: {
      version: 'socks4',
      target: { host: '192.0.2.1', port: 443 },
      credentials: { type: 'userId', userId: 'k=v' },
    },
    leftover: 'early',
  });
  everyWay(Buffer.concat([hex('04 01 01bb 00000007'), ascii('\0bridge.example\0early')]), {
    sent: '',
    request: {
      version: 'socks4a',
      target: { host: 'bridge.example', port: 443 },
      credentials: { type: 'userId', userId: '' },
    },
    leftover: 'early',
  });
});

test('SOCKS4 refusals', () => {
  const refused = '005b000000000000';
  everyWay(hex('04 02 0050 7f000001 00'), {
    sent: refused,
    error: 'ERR_SOCKS_COMMAND_UNSUPPORTED',
  });
  everyWay(hex('04 01 0050 00000001 00 00'), { sent: refused, error: 'ERR_SOCKS_MALFORMED' });
  everyWay(hex('04 01 0050 00000001 00 61 20 62 00'), {
    sent: refused,
    error: 'ERR_SOCKS_MALFORMED',
  });
});

test('a SOCKS4 USERID or host name without an end is refused at its limit, not buffered', () => {
  const start = hex('04 01 0050 00000001');
  const longest = Buffer.alloc(limits.socksUserIdBytes, 'u');
  const accept = (): void => {};
  assert.deepEqual(run([start, longest], accept), { sent: '' });
  const tooLong = { sent: '005b000000000000', error: 'ERR_BYTES_OVERFLOW' };
  assert.deepEqual(run([start, longest, ascii('u')], accept), tooLong);
  const host = Buffer.alloc(limits.socksHostBytes, 'h');
  assert.deepEqual(run([start, longest, hex('00'), host], accept), { sent: '' });
  assert.deepEqual(run([start, longest, hex('00'), host, ascii('h')], accept), tooLong);
});

test('[PT-2-07] other protocols are refused at once: HTTP with a page, the rest in silence', () => {
  const http = createSocksServer({ accept: () => {} });
  const actions = http.receive(ascii('CONNECT example.com:443 HTTP/1.1\r\n'));
  assert.match(sentBytes(actions).toString(), /^HTTP\/1\.0 501 .*This is a SOCKS proxy/s);
  for (const word of ['GET ', 'POST ', 'CONNECT ']) {
    for (const chunks of feedings(ascii(word))) {
      assert.equal(run(chunks, () => {}).error, 'ERR_SOCKS_HTTP');
    }
  }
  for (const bytes of [hex('16 03 01'), hex('00'), hex('06'), ascii('GEX'), ascii('SSH-2.0')]) {
    everyWay(bytes, { sent: '', error: 'ERR_SOCKS_VERSION' });
  }
});

test('replies take the form of the client’s version', () => {
  const five = createSocksServer({ accept: () => {} });
  five.receive(Buffer.concat([hex('05 01 00'), hex(IPV4)]));
  assert.equal(Buffer.from(five.reply(5)).toString('hex'), '05050001000000000000');
  const bound = { host: '::1', port: 258 };
  assert.deepEqual(five.reply(0, bound), encodeReply5(0, bound));
  const four = createSocksServer({ accept: () => {} });
  four.receive(hex('04 01 0050 7f000001 00'));
  assert.equal(Buffer.from(four.reply(0)).toString('hex'), '005a000000000000');
  for (let code = 1; code < 256; code += 1) assert.equal(encodeReply4(code)[1], 0x5b);
});

test('the server reads what the client writes, for all versions, targets and credentials', () => {
  const ipv4 = fc.ipV4().filter((host) => !host.startsWith('0.'));
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,40}\.example$/);
  const port = fc.integer({ min: 0, max: 65_535 });
  const field = fc.uint8Array({ minLength: 1, maxLength: 255 });
  const socks5 = fc.record({
    version: fc.constant('socks5' as const),
    target: fc.record({ host: fc.oneof(ipv4, name, fc.constant('2001:db8::5')), port }),
    credentials: fc.record({ username: field, password: field }),
  });
  const socks4 = fc.record({
    version: fc.constantFrom('socks4' as const, 'socks4a' as const),
    target: fc.record({ host: ipv4, port }),
    userId: field.map((bytes) => bytes.filter((byte) => byte !== 0)),
  });
  const socks4a = fc.record({
    version: fc.constant('socks4a' as const),
    target: fc.record({ host: name, port }),
    userId: field.map((bytes) => bytes.filter((byte) => byte !== 0)),
  });
  fc.assert(
    fc.property(fc.oneof(socks5, socks4, socks4a), (options) => {
      const server = createSocksServer({ accept: () => {} });
      const client = createSocksClient(options);
      // Ping-pong until one side is done; the client's last word is the request.
      let toServer = sentBytes(client.start());
      let last: ReturnType<SocksServer['receive']>[number] | undefined;
      while (last?.type !== 'done') {
        const actions = server.receive(toServer);
        last = actions.at(-1);
        assert.ok(last !== undefined && last.type !== 'failed');
        if (last.type === 'send') toServer = sentBytes(client.receive(sentBytes(actions)));
      }
      assert.deepEqual(last.result.target, { ...options.target });
      assert.equal(last.leftover.length, 0);
      const { credentials } = last.result;
      if ('credentials' in options) {
        assert.deepEqual(credentials, { type: 'userPass', ...options.credentials });
      } else {
        assert.deepEqual(credentials, { type: 'userId', userId: options.userId });
      }
      const [established] = client.receive(Buffer.concat([server.reply(0), ascii('payload')]));
      assert.ok(established?.type === 'done');
      assert.equal(Buffer.from(established.leftover).toString(), 'payload');
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('no bytes whatever make the server throw, loop or forget to answer', () => {
  const start = fc.constantFrom(hex('05'), hex('04 01'), hex('05 01 02 01'), hex('05 01 00 05 01'));
  fc.assert(
    fc.property(start, fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 })), (head, chunks) => {
      const server = createSocksServer({ accept: () => {} });
      const receive = (chunk: Uint8Array) => server.receive(chunk);
      const { actions } = feed(receive, [head, ...chunks], ['done', 'failed']);
      const ends = actions.filter(({ type }) => type !== 'send').length;
      assert.ok(ends <= 1);
      if (ends === 1) assert.notEqual(actions.at(-1)?.type, 'send');
    }),
    { seed: 2, numRuns: 2000 },
  );
});
