import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Exchange } from '../../src/bytes/exchange.ts';
import { createSocksClient, type SocksClientOptions } from '../../src/socks/client.ts';
import { feed, feedings, sentBytes } from '../support/feed.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const target = { host: '192.0.2.1', port: 443 };
const credentials = { username: Buffer.from('a=b'), password: Buffer.of(0) };

interface Outcome {
  readonly sent: string;
  readonly leftover?: string;
  readonly error?: string;
}

function run(client: Exchange<void>, chunks: Uint8Array[]): Outcome {
  const { actions, rest } = feed((chunk) => client.receive(chunk), chunks, ['done', 'failed']);
  const last = actions.at(-1);
  const sent = Buffer.concat([sentBytes(client.start()), sentBytes(actions)]).toString('hex');
  if (last?.type === 'done') {
    return { sent, leftover: Buffer.concat([last.leftover, rest]).toString('latin1') };
  }
  return last?.type === 'failed' ? { sent, error: last.error.code } : { sent };
}

function everyWay(options: SocksClientOptions, answer: Uint8Array, expected: Outcome): void {
  for (const chunks of feedings(answer)) {
    assert.deepEqual(run(createSocksClient(options), chunks), expected);
  }
}

const REQUEST = '05010001c000020101bb';
const GRANTED = '05 00 00 01 0a000001 1234';

test('SOCKS5 without credentials offers no authentication and keeps what follows the reply', () => {
  everyWay(
    { version: 'socks5', target },
    Buffer.concat([hex('05 00'), hex(GRANTED), Buffer.from('payload')]),
    { sent: `050100${REQUEST}`, leftover: 'payload' },
  );
});

test('[PT-3.5-07] SOCKS5 with credentials negotiates RFC 1929', () => {
  everyWay(
    { version: 'socks5', target, credentials },
    Buffer.concat([hex('05 02 01 00'), hex(GRANTED)]),
    { sent: `050102${'0103613d620100'}${REQUEST}`, leftover: '' },
  );
});

test('[PT-3.5-07] a proxy that would not read the arguments fails the connection', () => {
  for (const choice of ['05 00', '05 ff', '05 01']) {
    everyWay({ version: 'socks5', target, credentials }, hex(choice), {
      sent: '050102',
      error: 'ERR_TUNNEL_AUTH_REJECTED',
    });
  }
  everyWay({ version: 'socks5', target, credentials }, hex('05 02 01 01'), {
    sent: '0501020103613d620100',
    error: 'ERR_TUNNEL_AUTH_REJECTED',
  });
});

test('SOCKS5 replies of every address type are read to their end', () => {
  for (const reply of [
    '05 00 00 01 00000000 0000',
    '05 00 00 04 00000000 00000000 00000000 00000001 0050',
    '05 00 00 03 03 612e62 0050',
  ]) {
    const answer = Buffer.concat([hex('05 00'), hex(reply), Buffer.from('x')]);
    const sent = `050100${REQUEST}`;
    everyWay({ version: 'socks5', target }, answer, { sent, leftover: 'x' });
  }
});

test('each SOCKS5 reply code becomes the error that carries it on', () => {
  for (const [code, error] of [
    ['01', 'ERR_TUNNEL_FAILED'],
    ['02', 'ERR_DIAL_NOT_ALLOWED'],
    ['03', 'ERR_DIAL_NETWORK_UNREACHABLE'],
    ['04', 'ERR_DIAL_HOST_UNREACHABLE'],
    ['05', 'ERR_DIAL_REFUSED'],
    ['06', 'ERR_DIAL_TIMED_OUT'],
    ['07', 'ERR_SOCKS_COMMAND_UNSUPPORTED'],
    ['08', 'ERR_SOCKS_ADDRESS_UNSUPPORTED'],
    ['c8', 'ERR_TUNNEL_FAILED'],
  ] as const) {
    const client = createSocksClient({ version: 'socks5', target });
    const [, failed] = client.receive(hex(`05 00 05 ${code} 00 01 00000000 0000`));
    assert.ok(failed?.type === 'failed');
    assert.equal(failed.error.code, error);
    if (code !== 'c8') assert.equal(failed.error.socksReply, parseInt(code, 16));
  }
});

test('a password for a proxy that wants none, or that answers RFC 1929 in its own way', () => {
  const options = { version: 'socks5', target, credentials, mayIgnoreCredentials: true } as const;
  everyWay(options, Buffer.concat([hex('05 00'), hex(GRANTED), Buffer.from('x')]), {
    sent: `05020002${REQUEST}`,
    leftover: 'x',
  });
  for (const version of ['01', '05', '00']) {
    everyWay(options, Buffer.concat([hex(`05 02 ${version} 00`), hex(GRANTED)]), {
      sent: `05020002${'0103613d620100'}${REQUEST}`,
      leftover: '',
    });
    everyWay(options, hex(`05 02 ${version} 01`), {
      sent: '050200020103613d620100',
      error: 'ERR_TUNNEL_AUTH_REJECTED',
    });
  }
  everyWay(options, hex('05 ff'), { sent: '05020002', error: 'ERR_TUNNEL_AUTH_REJECTED' });
});

test('what a proxy is bound to is measured and not judged; a failure keeps its reason', () => {
  for (const reply of [
    '05 00 00 03 00 0000',
    '05 00 07 03 03 00ff20 0000',
    '04 00 00 01 00000000 0000',
  ]) {
    everyWay({ version: 'socks5', target }, Buffer.concat([hex('05 00'), hex(reply), hex('78')]), {
      sent: `050100${REQUEST}`,
      leftover: 'x',
    });
  }
  for (const reply of [
    '05 05',
    '05 05 00',
    '05 05 00 00 00000000 0000',
    '05 05 00 03 02 00ff 0000',
  ]) {
    const client = createSocksClient({ version: 'socks5', target });
    const outcome = run(client, [hex('05 00'), hex(reply)]);
    assert.equal(outcome.error, 'ERR_DIAL_REFUSED', reply);
  }
});

test('an HTTP proxy that was taken for SOCKS is called so', () => {
  for (const version of ['socks5', 'socks4'] as const) {
    const [failed] = createSocksClient({ version, target }).receive(Buffer.from('HTTP/1.0 400 x'));
    assert.ok(failed?.type === 'failed');
    assert.match(failed.error.message, /this is an HTTP proxy: use http:/);
  }
});

test('SOCKS4 and SOCKS4a', () => {
  everyWay({ version: 'socks4', target }, hex('04 5a 0000 00000000 78'), {
    sent: '040101bbc000020100',
    leftover: 'x',
  });
  const userId = Buffer.from('k=v');
  const granted = hex('00 5a 0000 00000000 78');
  everyWay({ version: 'socks4', target, userId }, granted, {
    sent: '040101bbc00002016b3d7600',
    leftover: 'x',
  });
  everyWay({ version: 'socks4a', target: { host: 'a.b', port: 80 } }, granted, {
    sent: '040100500000000100612e6200',
    leftover: 'x',
  });
  for (const [code, error] of [
    ['5b', 'ERR_TUNNEL_FAILED'],
    ['5c', 'ERR_TUNNEL_AUTH_REJECTED'],
    ['5d', 'ERR_TUNNEL_AUTH_REJECTED'],
  ] as const) {
    everyWay({ version: 'socks4', target, userId }, hex(`00 ${code} 0000 00000000`), {
      sent: '040101bbc00002016b3d7600',
      error,
    });
  }
});

test('answers of another protocol fail at their first wrong byte', () => {
  const cases: [SocksClientOptions, string, string][] = [
    [{ version: 'socks5', target }, '48', '050100'],
    [{ version: 'socks5', target }, '05 00 05 00 00 02', `050100${REQUEST}`],
    [{ version: 'socks4', target }, '05', '040101bbc000020100'],
    [{ version: 'socks4', target }, '48', '040101bbc000020100'],
  ];
  for (const [options, answer, sent] of cases) {
    everyWay(options, hex(answer), { sent, error: 'ERR_TUNNEL_MALFORMED' });
  }
});

test('a proxy that closes before its answer is whole, and one that never answers', () => {
  assert.deepEqual(createSocksClient({ version: 'socks5', target }).codes, {
    closed: 'ERR_TUNNEL_CLOSED',
    timedOut: 'ERR_TUNNEL_TIMED_OUT',
  });
});

test('what a version cannot carry is refused before anything is sent', () => {
  const none = new Uint8Array(0);
  const long = new Uint8Array(256);
  const cases: SocksClientOptions[] = [
    { version: 'socks4', target: { host: 'a.example', port: 80 } },
    { version: 'socks4', target: { host: '::1', port: 80 } },
    { version: 'socks4a', target: { host: '::1', port: 80 } },
    { version: 'socks4a', target: { host: '0.0.0.1', port: 80 } },
    { version: 'socks4', target, userId: Buffer.of(1, 0, 2) },
    { version: 'socks4', target, userId: Buffer.alloc(5000, 1) },
    { version: 'socks5', target: { host: 'a b', port: 80 } },
    { version: 'socks5', target: { host: '', port: 80 } },
    { version: 'socks5', target, credentials: { username: none, password: long.subarray(1) } },
    { version: 'socks5', target, credentials: { username: long, password: none } },
    { version: 'socks5', target, credentials: { username: Buffer.of(1), password: long } },
  ];
  for (const options of cases) {
    assert.throws(() => createSocksClient(options), { code: 'ERR_TUNNEL_UNENCODABLE' });
  }
});

test('no answer whatever makes the client throw', () => {
  const start = fc.constantFrom(hex('05'), hex('05 00 05 00 00'), hex('00 5a'), hex('05 02 01'));
  const options = fc.constantFrom<SocksClientOptions>(
    { version: 'socks5', target },
    { version: 'socks5', target, credentials },
    { version: 'socks4', target },
  );
  fc.assert(
    fc.property(
      options,
      start,
      fc.array(fc.uint8Array({ maxLength: 20 })),
      (option, head, tail) => {
        const outcome = run(createSocksClient(option), [head, ...tail]);
        assert.ok(outcome.sent.length > 0);
      },
    ),
    { seed: 3, numRuns: 2000 },
  );
});
