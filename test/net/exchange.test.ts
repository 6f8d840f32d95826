/** The one driver of every exchange before payload. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair, type Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import type { Exchange, ExchangeAction } from '../../src/bytes/exchange.ts';
import { PosternError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { closeGently } from '../../src/net/close-gently.ts';
import { runExchange } from '../../src/net/exchange.ts';
import { dial, listen, readAll, readBytes, socketPair } from '../support/sockets.ts';

/** Says `hi`, and waits for a line, which is its result. */
function lineExchange(overrides: Partial<Exchange<string>> = {}): Exchange<string> {
  let text = '';
  return {
    peer: 'the far end',
    codes: { closed: 'ERR_EXTOR_CLOSED', timedOut: 'ERR_EXTOR_TIMED_OUT' },
    start: () => [{ type: 'send', bytes: Buffer.from('hi\n') }],
    receive(chunk): readonly ExchangeAction<string>[] {
      text += Buffer.from(chunk).toString();
      const end = text.indexOf('\n');
      if (end === -1) return [];
      return [
        { type: 'done', result: text.slice(0, end), leftover: Buffer.from(text.slice(end + 1)) },
      ];
    },
    ...overrides,
  };
}

const tooLong = new PosternError('ERR_BYTES_OVERFLOW', 'no');

test('the result comes out, and what came behind it is payload for a reader of any kind', async () => {
  for (const read of [
    (stream: Duplex) => readAll(stream),
    async (stream: Duplex) => Buffer.concat(await stream.toArray()),
  ]) {
    const [near, far] = duplexPair();
    far.end('an answer\nearly ');
    assert.equal(await runExchange(near, lineExchange()), 'an answer');
    assert.equal((await read(near)).toString(), 'early ');
    assert.equal((await readBytes(far, 3)).toString(), 'hi\n');
  }
});

test('nothing is left behind on a stream whose exchange is over', async (t) => {
  const [near, far] = await socketPair(t);
  const before = near.eventNames().map((name) => [name, near.listenerCount(name)]);
  const controller = new AbortController();
  far.write('answer\n');
  await runExchange(near, lineExchange(), { signal: controller.signal });
  assert.deepEqual(
    near.eventNames().map((name) => [name, near.listenerCount(name)]),
    before,
  );
  // Neither the signal nor the deadline means anything any more.
  controller.abort();
  assert.ok(!near.destroyed);
});

test('a far end that closes first, breaks, or takes too long: each by the exchange’s own code', async (t) => {
  const [ending, farOfEnding] = await socketPair(t);
  farOfEnding.end('half a li');
  await assert.rejects(runExchange(ending, lineExchange()), {
    code: 'ERR_EXTOR_CLOSED',
    message: 'the far end closed before the exchange was over',
  });
  assert.ok(ending.destroyed);

  const [breaking, farOfBreaking] = await socketPair(t);
  farOfBreaking.resetAndDestroy();
  await assert.rejects(runExchange(breaking, lineExchange()), { code: 'ERR_EXTOR_CLOSED' });

  const [hanging] = await socketPair(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const hung = runExchange(hanging, lineExchange(), { timeoutMs: 5000 });
  t.mock.timers.tick(5000);
  await assert.rejects(hung, { code: 'ERR_EXTOR_TIMED_OUT', message: /more than 5000 ms/ });
  assert.ok(hanging.destroyed);
});

test('a stream that has ended or closed already fails at once, without its deadline', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const [destroyed] = duplexPair();
  destroyed.on('error', () => {}).destroy(new Error('broken before'));
  const [ended, far] = duplexPair();
  far.end();
  await finished(ended.resume(), { writable: false });
  for (const stream of [destroyed, ended]) {
    await assert.rejects(runExchange(stream, lineExchange()), { code: 'ERR_EXTOR_CLOSED' });
  }
});

test('the signal ends it at once with its reason, whatever that is, and closes the stream', async (t) => {
  for (const reason of [new Error('enough'), null, 0]) {
    const [near] = await socketPair(t);
    const controller = new AbortController();
    const running = runExchange(near, lineExchange(), { signal: controller.signal });
    controller.abort(reason);
    assert.ok(near.destroyed);
    assert.equal(await running.catch((thrown: unknown) => thrown), reason);
    const [late] = await socketPair(t);
    const begun = runExchange(late, lineExchange(), { signal: controller.signal });
    assert.equal(await begun.catch((thrown: unknown) => thrown), reason);
    assert.ok(late.destroyed);
    assert.equal(late.bytesWritten, 0, 'nothing was begun');
  }
});

test('a machine that throws costs its own connection', async (t) => {
  const [near, far] = await socketPair(t);
  far.write('x');
  const broken = lineExchange({
    receive() {
      throw new Error('a defect');
    },
  });
  await assert.rejects(runExchange(near, broken), /a defect/);
  assert.ok(near.destroyed);
});

test('a peer that is refused hears why, and gets no reset, although it has sent more', async (t) => {
  const refusing = lineExchange({
    start: () => [],
    receive: () => [
      { type: 'send', bytes: Buffer.from('no\n') },
      { type: 'failed', error: tooLong },
    ],
  });
  const refused: Promise<unknown>[] = [];
  let closed: Promise<number> | undefined;
  const { endpoint } = await listen(t, (socket) => {
    closed = once(socket, 'close').then(() => socket.bytesRead);
    const refusal = assert.rejects(runExchange(socket, refusing), tooLong);
    // It reads on, or what it said would be overtaken by a reset.
    refused.push(refusal.then(() => assert.ok(!socket.destroyed)));
  });
  const stream = await dial(endpoint);
  stream.write(Buffer.alloc(1 << 20));
  // With a reset this would reject, or the answer would be lost.
  assert.equal((await readAll(stream)).toString(), 'no\n');
  stream.end();
  await finished(stream.resume());
  await Promise.all(refused);
  assert.equal(await closed, 1 << 20, 'read to the end');
});

test('who is refused and never closes is cut off when its time is up', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const [near, far] = await socketPair(t);
  closeGently(near, Buffer.from('bye'));
  assert.equal((await readBytes(far, 3)).toString(), 'bye');
  t.mock.timers.tick(limits.closeLingerMs - 1);
  assert.ok(!near.destroyed);
  t.mock.timers.tick(1);
  assert.ok(near.destroyed);
});

test('who is refused and closes is let go at once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const [near, far] = await socketPair(t);
  closeGently(near);
  far.resume().end();
  if (!near.closed) await new Promise((resolve) => void near.once('close', resolve));
  const destroy = t.mock.method(near, 'destroy');
  closeGently(near, Buffer.from('too late'));
  t.mock.timers.tick(limits.closeLingerMs);
  assert.equal(destroy.mock.callCount(), 0, 'no deadline is left');
});

test('while an exchange works nothing is handed in, and what has come is handed in behind it', async (t) => {
  const [near, far] = await socketPair(t);
  const heard: string[] = [];
  let goOn!: () => void;
  const worked = new Promise<void>((resolve) => (goOn = resolve));
  let onStart!: () => void;
  const started = new Promise<void>((resolve) => (onStart = resolve));
  const running = runExchange(
    near,
    lineExchange({
      receive(chunk) {
        heard.push(Buffer.from(chunk).toString());
        if (heard.length > 1) return [{ type: 'done', result: heard.join(), leftover: EMPTY }];
        const work = async (): Promise<ExchangeAction<string>[]> => {
          onStart();
          await worked;
          return [{ type: 'send', bytes: Buffer.from('worked\n') }];
        };
        return [{ type: 'wait', work }];
      },
    }),
  );
  far.write('first');
  await started;
  // Also an end waits: who asked and then ended is still answered.
  far.end('second');
  await once(far, 'finish');
  assert.deepEqual(heard, ['first']);
  goOn();
  assert.equal(await running, 'first,second');
  assert.equal((await readBytes(far, 10)).toString(), 'hi\nworked\n');
});

test('work that fails ends the exchange, and one whose stream has gone is of no consequence', async () => {
  const reason = new Error('the disk is gone');
  for (const isGone of [false, true]) {
    const [near, far] = duplexPair();
    let fail!: () => void;
    const failing = new Promise<never>((_, reject) => (fail = () => reject(reason)));
    let onStart!: () => void;
    const started = new Promise<void>((resolve) => (onStart = resolve));
    const work = (): Promise<never> => {
      onStart();
      return failing;
    };
    const running = runExchange(near, lineExchange({ receive: () => [{ type: 'wait', work }] }));
    const outcome = assert.rejects(running, isGone ? { code: 'ERR_EXTOR_CLOSED' } : reason);
    far.write('x');
    await started;
    if (isGone) {
      near.destroy();
      await outcome;
    }
    fail();
    await outcome;
    assert.ok(near.destroyed);
  }
});

test('an exchange may have more patience, or less, as it goes on', async () => {
  const [near] = duplexPair();
  await assert.rejects(
    runExchange(near, lineExchange({ start: () => [{ type: 'patience', ms: 20 }] }), {
      timeoutMs: 1e8,
    }),
    { code: 'ERR_EXTOR_TIMED_OUT', message: /20 ms/ },
  );
});

const EMPTY = Buffer.alloc(0);
