/** The parts of the engine that need no engine. */
import assert from 'node:assert/strict';
import { duplexPair, PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Configuration } from '../../src/config/configuration.ts';
import { errorFromAnswer, refusalFor } from '../../src/engine/embedded/http2-link.ts';
import { LinkStream } from '../../src/engine/embedded/link-stream.ts';
import { TokenBucket } from '../../src/engine/embedded/token-bucket.ts';
import { parseAuthority } from '../../src/engine/embedded/tunnel-server.ts';
import { EngineEvents } from '../../src/engine/events.ts';
import { DaemonLog } from '../../src/engine/log.ts';
import { Resources, type Wanted } from '../../src/engine/resources.ts';
import { PosternError, type ErrorCode } from '../../src/errors.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { readBytes } from '../support/sockets.ts';

test('a line of the daemon’s log steers no terminal, and is one line', async () => {
  const stdout = new PassThrough({ encoding: 'utf8' });
  const events = new EngineEvents();
  const told: string[] = [];
  events.subscribe((event) => {
    if (event.type === 'log') told.push(event.message);
  });
  const clock = { epochMs: () => 0 };
  const log = new DaemonLog({ stdout, stderr: stdout, home: '/', clock, events });
  (await log.prepare(Configuration.parse('').values)).commit();
  log.write('warn', 'a\u001b[2Jb\r\n  c\u009bd');
  assert.equal(stdout.read(), '1970-01-01T00:00:00.000Z [warn] a [2Jb | c d\n');
  assert.deepEqual(told, ['a [2Jb | c d']);
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

describe('the stream under a link', () => {
  test('waits in both directions when the meter says so', async () => {
    const timers = new HandTimers();
    const [inner, far] = duplexPair();
    const stream = new LinkStream(inner, {
      onRead: () => 70,
      onWrite: () => 50,
      after: (delayMs, callback) => timers.after(delayMs, callback),
    });
    let written = 0;
    stream.write('a', () => (written += 1));
    stream.write('b', () => (written += 1));
    assert.equal((await readBytes(far, 1)).toString(), 'a');
    assert.equal(written, 0);
    await timers.fire(50);
    assert.equal((await readBytes(far, 1)).toString(), 'b');
    assert.equal(written, 1);

    far.write('1');
    assert.equal((await readBytes(stream, 1)).toString(), '1');
    far.write('2');
    await timers.isSet(70);
    assert.equal(stream.read(), null);
    await timers.fire(70);
    assert.equal((await readBytes(stream, 1)).toString(), '2');
    stream.destroy();
  });

  test('hands on in one piece what is written at once', async () => {
    const [inner, far] = duplexPair();
    const stream = new LinkStream(inner, {
      onRead: () => 0,
      onWrite: () => 0,
      after: () => () => {},
    });
    const chunks: string[] = [];
    far.on('data', (chunk: Buffer) => void chunks.push(chunk.toString()));
    stream.cork();
    for (const part of ['head', 'er', ' and payload']) stream.write(part);
    stream.uncork();
    stream.end();
    await new Promise((resolve) => far.once('end', resolve));
    assert.deepEqual(chunks, ['header and payload']);
  });
});

describe('what a bridge says about a target that it did not reach', () => {
  const codes = [
    'ERR_DIAL_REFUSED',
    'ERR_DIAL_HOST_UNREACHABLE',
    'ERR_DIAL_NAME_NOT_FOUND',
    'ERR_DIAL_TIMED_OUT',
    'ERR_EXIT_POLICY',
    'ERR_DIAL_FAILED',
  ] as const satisfies readonly ErrorCode[];

  for (const code of codes) {
    test(`${code} arrives as what it was`, () => {
      const answer = refusalFor(new PosternError(code, 'x'));
      assert.equal(errorFromAnswer(answer[':status'], answer['proxy-status']).code, code);
    });
  }

  test('other failures arrive as the nearest thing', () => {
    const answerTo = (error: unknown): string => refusalFor(error)['proxy-status'];
    assert.match(
      answerTo(new PosternError('ERR_DIAL_NETWORK_UNREACHABLE', 'x')),
      /destination_ip_unroutable$/,
    );
    assert.match(answerTo(new Error('a defect')), /destination_unavailable$/);
  });

  test('another program’s answer without Proxy-Status is read by its status', () => {
    assert.equal(errorFromAnswer(403, undefined).code, 'ERR_EXIT_POLICY');
    assert.equal(errorFromAnswer(504, undefined).code, 'ERR_DIAL_TIMED_OUT');
    assert.equal(errorFromAnswer(502, undefined).code, 'ERR_DIAL_FAILED');
    assert.equal(errorFromAnswer(407, 'proxy; error=unknown_to_us').code, 'ERR_HTTP_PROXY_REFUSED');
  });
});

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
        () => {
          if (name === 'bad') throw new Error('bad');
          log.push(`open ${name}`);
          return name;
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
