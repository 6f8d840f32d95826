/** The parts of the engine that need no engine. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Exchange, ExchangeAction } from '../../src/bytes/exchange.ts';
import { Configuration } from '../../src/config/configuration.ts';
import { parseAuthority } from '../../src/engine/embedded/authority.ts';
import { StreamRequest, StreamRequestReader } from '../../src/engine/embedded/stream-request.ts';
import { TokenBucket } from '../../src/engine/embedded/token-bucket.ts';
import { Emitter } from '../../src/bytes/emitter.ts';
import type { EngineEvent } from '../../src/control/engine.ts';
import { DaemonLog } from '../../src/engine/log.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { Places } from '../../src/engine/places.ts';
import { type ResourceChange, Resources, type Wanted } from '../../src/engine/resources.ts';
import { PosternError, type ErrorCode } from '../../src/errors.ts';
import { decodeRequest5 } from '../../src/socks/decode.ts';
import { encodeReply5 } from '../../src/socks/encode.ts';

test('a line of the daemon’s log steers no terminal, and is one line', async () => {
  const stdout = new PassThrough({ encoding: 'utf8' });
  const events = new Emitter<EngineEvent>();
  const told: string[] = [];
  events.subscribe((event) => {
    if (event.type === 'log') told.push(event.message);
  });
  const clock = { epochMs: () => 0 };
  const log = new DaemonLog({ stdout, stderr: stdout, env: {}, home: '/', clock, events });
  await (await log.prepare(Configuration.parse('').values)).commit();
  log.write('warn', 'a\u001b[2Jb\r\n  c\u009bd');
  assert.equal(stdout.read(), '1970-01-01T00:00:00.000Z [warn] a [2Jb | c d\n');
  // Whoever looks for the blanks at the end of a line from each blank on never comes to an end.
  const blanks = ' '.repeat(2_000_000);
  log.write('warn', `a${blanks}b${blanks}\n${blanks}c`);
  assert.deepEqual(told, ['a [2Jb | c d', `a${blanks}b | c`]);
});

describe('a token bucket', () => {
  test('lets the burst through at once, then the rate', () => {
    const bucket = new TokenBucket(0);
    assert.equal(bucket.take(1e12, 0), 0); // not configured: no limit
    bucket.configure(1000, 5000, 0);
    assert.equal(bucket.take(5000, 0), 0);
    assert.equal(bucket.take(1, 0), 1);
    assert.equal(bucket.take(999, 0), 1000);
    assert.equal(bucket.take(1000, 1000), 1000);
    assert.equal(bucket.take(5001, 1_000_000), 1); // a long pause fills it to the burst, not beyond
  });

  test('never passes more than the burst and the rate over any time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: 0, max: 1e6 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 1e5 }), fc.integer({ min: 0, max: 5000 }))),
        (rate, extra, steps) => {
          const bucket = new TokenBucket(0);
          bucket.configure(rate, rate + extra, 0);
          let nowMs = 0;
          let passed = 0;
          for (const [bytes, pauseMs] of steps) {
            passed += bytes;
            // Whoever is told to wait does.
            nowMs += bucket.take(bytes, nowMs) + pauseMs;
            assert.ok(passed <= rate + extra + (rate * nowMs) / 1000 + 1e-3);
          }
        },
      ),
      { seed: 4, numRuns: 200 },
    );
  });
});

describe('what a bridge says about a target that it did not reach', () => {
  const codes = [
    'ERR_DIAL_REFUSED',
    'ERR_DIAL_HOST_UNREACHABLE',
    'ERR_DIAL_NETWORK_UNREACHABLE',
    'ERR_DIAL_TIMED_OUT',
    'ERR_EXIT_POLICY',
    'ERR_DIAL_FAILED',
  ] as const satisfies readonly ErrorCode[];

  const answerTo = (reply: Uint8Array): ExchangeAction<void>[] => {
    const request = new StreamRequest({ host: '192.0.2.1', port: 80 });
    return feedSplit(request, reply);
  };

  for (const code of codes) {
    test(`${code} arrives as what it was`, () => {
      const [action] = answerTo(encodeReply5(new PosternError(code, 'x').socksReply));
      assert.ok(action?.type === 'failed');
      assert.equal(action.error.code, code);
    });
  }

  test('a reply code that nobody knows is a failure to reach the target', () => {
    const [action] = answerTo(encodeReply5(0x77));
    assert.ok(action?.type === 'failed');
    assert.equal(action.error.code, 'ERR_DIAL_FAILED');
  });

  test('what is no reply, or none at all, is the link’s fault', () => {
    const [action] = answerTo(Buffer.from('HTTP/1.1 400'));
    assert.ok(action?.type === 'failed');
    assert.equal(action.error.code, 'ERR_LINK_FAILED');
    const { codes } = new StreamRequest({ host: '192.0.2.1', port: 80 });
    assert.equal(codes.closed, 'ERR_LINK_FAILED');
  });

  test('a name of one family arrives as that, and a bridge that knows no such thing refuses it', () => {
    for (const family of [4, 6] as const) {
      const target = { host: 'a.example', port: 80, family };
      const [action] = new StreamRequest(target).start();
      assert.ok(action?.type === 'send');
      const [read] = feedSplit(new StreamRequestReader(), action.bytes);
      assert.ok(read?.type === 'done');
      assert.deepEqual(read.result, target);
      assert.throws(() => decodeRequest5(Buffer.from(action.bytes)), {
        code: 'ERR_SOCKS_ADDRESS_UNSUPPORTED',
      });
      // An address is of a family already.
      const [plain] = new StreamRequest({ host: '192.0.2.1', port: 80, family }).start();
      assert.ok(plain?.type === 'send');
      assert.ok(decodeRequest5(Buffer.from(plain.bytes)));
    }
  });

  test('payload behind the reply is kept', () => {
    const [action] = answerTo(Buffer.concat([encodeReply5(0), Buffer.from('payload')]));
    assert.ok(action?.type === 'done');
    assert.ok(Buffer.from('payload').subarray(0, action.leftover.length).equals(action.leftover));
  });
});

/** Feeds byte by byte, until there is an outcome. */
function feedSplit<T>(request: Exchange<T>, bytes: Uint8Array): ExchangeAction<T>[] {
  for (const byte of bytes) {
    const actions = request.receive(Uint8Array.of(byte));
    if (actions.length > 0) return [...actions];
  }
  return [];
}

test('the target of a CONNECT is a host and a port, and nothing else', () => {
  assert.deepEqual(parseAuthority('www.example:80'), { host: 'www.example', port: 80 });
  assert.deepEqual(parseAuthority('[2001:db8::1]:443'), { host: '2001:db8::1', port: 443 });
  const wrong = [
    undefined,
    '',
    'www.example',
    ':80',
    'www.example:',
    'www.example:0',
    'www.example:65536',
    'www.example:80/',
    '2001:db8::1:443',
    '[www.example]:80',
    '[192.0.2.1]:80',
    'a@b:80',
    'a b:80',
    `${'a'.repeat(256)}:80`,
    'http://www.example:80',
  ];
  for (const text of wrong) assert.equal(parseAuthority(text), undefined, String(text));
});

test('resources: what stays is kept, what fails undoes what was opened for it', async () => {
  const log: string[] = [];
  const resources = new Resources<string>((name) => void log.push(`close ${name}`));
  const wanted = (...names: string[]): Wanted<string> =>
    new Map(
      names.map((name) => [
        name,
        {
          open() {
            if (name === 'bad') throw new Error('bad');
            log.push(`open ${name}`);
            return name;
          },
        },
      ]),
    );
  (await resources.prepare(wanted('a', 'b'))).commit();
  (await resources.prepare(wanted('b', 'c'))).commit();
  await assert.rejects(resources.prepare(wanted('b', 'd', 'bad')));
  await (await resources.prepare(wanted('e'))).rollback();
  assert.deepEqual([...resources.current.keys()], ['b', 'c']);
  await resources.close();
  await resources.close();
  assert.deepEqual(log, [
    'open a',
    'open b',
    'open c',
    'close a',
    'open d',
    'close d',
    'open e',
    'close e',
    'close c',
    'close b',
  ]);
});

test('resources: an address is free for who comes next, and is given back when nothing comes of it', async () => {
  const log: string[] = [];
  const lost: unknown[] = [];
  const places = new Places();
  const resources = new Resources<string>((name) => void log.push(`close ${name}`), {
    places,
    onLost: (error) => lost.push(error),
  });
  const prepare = (next: Wanted<string>): Promise<ResourceChange<string>> => {
    places.beginChange([...next.values()].flatMap(({ takes = [] }) => takes));
    return resources.prepare(next);
  };
  let isBroken = false;
  const wanted = (...names: string[]): Wanted<string> =>
    new Map(
      names.map((name) => [
        name,
        {
          // `0.0.0.0:80 x` takes 0.0.0.0:80.
          takes: [parseIpEndpoint(name.split(' ')[0]!)!],
          open() {
            if (name.endsWith('bad') || isBroken) throw new Error(name);
            log.push(`open ${name}`);
            return name;
          },
        },
      ]),
    );
  (await prepare(wanted('127.0.0.1:80', '127.0.0.1:90', '[::1]:80'))).commit();
  log.length = 0;
  // The wildcard of IPv4 and another address of port 90; that of IPv6 goes at the commit.
  (await prepare(wanted('0.0.0.0:80', '127.0.0.2:90'))).commit();
  assert.deepEqual(log.splice(0), [
    'close 127.0.0.1:80',
    'open 0.0.0.0:80',
    'open 127.0.0.2:90',
    'close 127.0.0.1:90',
    'close [::1]:80',
  ]);
  await assert.rejects(prepare(wanted('[::]:80', '127.0.0.2:90', '127.0.0.3:1 bad')));
  assert.deepEqual(log.splice(0), [
    'close 0.0.0.0:80',
    'open [::]:80',
    'close [::]:80',
    'open 0.0.0.0:80',
  ]);
  assert.deepEqual([...resources.current.keys()].toSorted(), ['0.0.0.0:80', '127.0.0.2:90']);
  const change = await prepare(wanted('127.0.0.1:80', '127.0.0.2:90'));
  isBroken = true;
  await change.rollback();
  assert.deepEqual([...resources.current.keys()], ['127.0.0.2:90']);
  assert.match(String(lost), /0\.0\.0\.0:80/);
});
