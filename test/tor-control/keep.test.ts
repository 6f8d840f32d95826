import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { EventsLost } from '../../src/tor-control/event-hub.ts';
import type { TorEvent } from '../../src/tor-control/events.ts';
import {
  keepTorControl,
  type KeepTorControlOptions,
  type KeptTorControl,
  type TorConnectionNews,
} from '../../src/tor-control/node/keep.ts';
import type { Rng } from '../../src/crypto/rng.ts';
import { startFakeTor, type FakeAnswer, type FakeTor } from '../support/fake-tor.ts';
import { HandTimers } from '../support/hand-timers.ts';

/** Draws the least that there is: delays are half of their ceilings. */
const leastRng: Rng = { fill: (target) => void target.fill(0) };

interface Kept {
  readonly tor: FakeTor;
  readonly kept: KeptTorControl;
  readonly timers: HandTimers;
  readonly news: AsyncIterableIterator<TorEvent | TorConnectionNews | EventsLost>;
}

async function keep(
  t: TestContext,
  options: Partial<KeepTorControlOptions> = {},
  answers: Readonly<Record<string, FakeAnswer>> = {},
): Promise<Kept> {
  const tor = await startFakeTor(t, answers);
  const timers = new HandTimers();
  const kept = keepTorControl({
    endpoint: tor.endpoint,
    timers,
    rng: leastRng,
    ...options,
  } as KeepTorControlOptions);
  const news = kept.events();
  t.after(() => kept.close());
  return { tor, kept, timers, news };
}

/** The type of the next piece of news, and its delay. */
async function next({ news }: Kept): Promise<string | readonly [string, number]> {
  const { value } = await news.next();
  assert.ok(value !== undefined, 'the news ended');
  return value.type === 'disconnected' ? [value.type, value.retryMs] : value.type;
}

const unavailable = { code: 'ERR_TOR_CONTROL_UNAVAILABLE' };

describe('a connection that is kept', () => {
  test('comes back, asks for the same events, and its events go on', async (t) => {
    const run = await keep(t, { events: ['CIRC', 'BW'] });
    const { tor, kept, timers } = run;
    const heard: string[] = [];
    kept.onEvent((event) => heard.push(event.type));
    await assert.rejects(kept.saveConf(), unavailable);
    assert.equal(await next(run), 'connected');
    assert.equal(kept.current, await kept.connection());
    await kept.saveConf();
    tor.say('650 BW 1 2');
    assert.equal(await next(run), 'bandwidth');

    tor.sockets[0]!.destroy();
    assert.deepEqual(await next(run), ['disconnected', 250]);
    assert.equal(kept.current, undefined);
    await assert.rejects(kept.saveConf(), unavailable);
    const waiting = kept.connection();
    await timers.fire(250);
    assert.equal(await next(run), 'connected');
    assert.equal(await waiting, kept.current);
    await kept.signal('NEWNYM');
    tor.say('650 BW 3 4');
    assert.equal(await next(run), 'bandwidth');
    assert.deepEqual(heard, ['connected', 'bandwidth', 'disconnected', 'connected', 'bandwidth']);
    assert.deepEqual(tor.received, [
      'PROTOCOLINFO 1',
      'AUTHENTICATE ""',
      'SETEVENTS CIRC BW',
      'SAVECONF',
      'PROTOCOLINFO 1',
      'AUTHENTICATE ""',
      'SETEVENTS CIRC BW',
      'SIGNAL NEWNYM',
    ]);
  });

  test('waits longer after each failure, up to a bound, and less again after a healthy time', async (t) => {
    const run = await keep(
      t,
      { firstDelayMs: 100, maxDelayMs: 300, stableMs: 7_777 },
      { PROTOCOLINFO: (_line, socket) => void socket.end() },
    );
    const { tor, timers } = run;
    for (const delayMs of [50, 100, 150, 150]) {
      assert.deepEqual(await next(run), ['disconnected', delayMs]);
      await timers.fire(delayMs);
    }
    assert.deepEqual(await next(run), ['disconnected', 150]);
    tor.answer('PROTOCOLINFO', '250-AUTH METHODS=NULL\r\n250 OK');
    await timers.fire(150);
    assert.equal(await next(run), 'connected');
    // Not yet healthy: it goes on where it was.
    tor.sockets[0]!.destroy();
    assert.deepEqual(await next(run), ['disconnected', 150]);
    await timers.fire(150);
    assert.equal(await next(run), 'connected');
    await timers.fire(7_777);
    tor.sockets[0]!.destroy();
    assert.deepEqual(await next(run), ['disconnected', 50]);
    assert.deepEqual(timers.delays, [50]);
  });

  test('is prepared before anyone uses it; a preparation that fails counts as a failure', async (t) => {
    let fail = true;
    const run = await keep(t, {
      events: ['BW'],
      prepare: async (control) => {
        await control.takeOwnership();
        if (fail) throw new Error('not yet');
      },
    });
    const { value } = await run.news.next();
    assert.ok(value?.type === 'disconnected' && value.error instanceof Error);
    assert.equal(value.error.message, 'not yet');
    await run.tor.left();
    fail = false;
    run.tor.received.length = 0;
    await run.timers.fire(250);
    await run.kept.saveConf().catch(() => {});
    assert.equal(await next(run), 'connected');
    await run.kept.saveConf();
    assert.deepEqual(run.tor.received.slice(2), ['TAKEOWNERSHIP', 'SETEVENTS BW', 'SAVECONF']);
  });

  test('takes note of other events, and forgets those that Tor refuses', async (t) => {
    const run = await keep(t);
    const { tor, kept, timers } = run;
    await kept.setEvents(['BW']); // not connected yet: taken note of
    assert.equal(await next(run), 'connected');
    await kept.setEvents(['CIRC']);
    tor.answer('SETEVENTS', '552 Unrecognized event "NOPE"');
    await assert.rejects(kept.setEvents(['NOPE']), { status: 552 });
    tor.answer('SETEVENTS', '250 OK');
    tor.sockets[0]!.destroy();
    assert.deepEqual(await next(run), ['disconnected', 250]);
    await timers.fire(250);
    assert.equal(await next(run), 'connected');
    await kept.saveConf();
    assert.deepEqual(
      tor.received.filter((line) => line.startsWith('SETEVENTS')),
      ['SETEVENTS BW', 'SETEVENTS CIRC', 'SETEVENTS NOPE', 'SETEVENTS CIRC'],
    );
  });

  test('events that a new Tor does not know are an error that is told', async (t) => {
    const run = await keep(t, { events: ['NOPE'] }, { SETEVENTS: '552 Unrecognized event "NOPE"' });
    assert.equal(await next(run), 'connected');
    const { value } = await run.news.next();
    assert.ok(value?.type === 'disconnected');
    assert.equal((value.error as { code?: string }).code, 'ERR_TOR_CONTROL_REFUSED');
    await run.tor.left();
  });

  test('a Tor that hangs is left for another try', async (t) => {
    const run = await keep(t, { replyTimeoutMs: 4_321 }, { GETINFO: () => {} });
    assert.equal(await next(run), 'connected');
    const asked = assert.rejects(run.kept.getInfo('version'), {
      code: 'ERR_TOR_CONTROL_TIMED_OUT',
    });
    await run.timers.fire(4_321);
    await asked;
    assert.deepEqual(await next(run), ['disconnected', 250]);
    await run.timers.fire(250);
    assert.equal(await next(run), 'connected');
  });
});

describe('closing it', () => {
  test('while it stands: what was asked is answered, and nothing comes after', async (t) => {
    const run = await keep(t, {}, { GETINFO: '250-a=1\r\n250 OK' });
    assert.equal(await next(run), 'connected');
    const asked = run.kept.getInfo('a');
    await Promise.all([run.kept.close(), run.kept.close(), run.kept[Symbol.asyncDispose]()]);
    assert.equal((await asked).get('a'), '1');
    assert.equal(run.tor.received.at(-1), 'QUIT');
    assert.deepEqual(await run.news.next(), { done: true, value: undefined });
    await assert.rejects(run.kept.saveConf(), unavailable);
    await assert.rejects(run.kept.connection(), unavailable);
    await run.kept.closed;
    assert.deepEqual(run.timers.delays, []);
    await run.tor.left();
  });

  test('by abort, which waits for nothing', async (t) => {
    const run = await keep(t, {}, { GETINFO: () => {}, QUIT: () => {} });
    assert.equal(await next(run), 'connected');
    const asked = assert.rejects(run.kept.getInfo('version'), { code: 'ERR_TOR_CONTROL_CLOSED' });
    // Tor says nothing, which `close` would wait for.
    const closing = run.kept.close();
    run.kept.abort();
    await Promise.all([asked, closing, run.kept.closed]);
    run.kept.abort();
    assert.deepEqual(await run.news.next(), { done: true, value: undefined });
    assert.deepEqual(run.timers.delays, []);
    await run.tor.left();
  });

  test('while it is being made, and while it waits to be', async (t) => {
    const making = await keep(t, {}, { PROTOCOLINFO: () => {} });
    const first = assert.rejects(making.kept.connection(), unavailable);
    while (making.tor.received.length === 0) await new Promise(setImmediate);
    await making.kept.close();
    await first;
    await making.tor.left();
    assert.deepEqual(making.timers.delays, []);

    const waiting = await keep(t, {}, { PROTOCOLINFO: (_line, socket) => void socket.end() });
    assert.deepEqual(await next(waiting), ['disconnected', 250]);
    const second = assert.rejects(waiting.kept.connection(), unavailable);
    await waiting.kept.close();
    await second;
    assert.deepEqual(waiting.timers.delays, []);
  });

  test('while it is being prepared', async (t) => {
    const run = await keep(
      t,
      { prepare: (control) => control.saveConf() },
      { SAVECONF: () => {}, QUIT: (_line, socket) => void socket.end() },
    );
    while (!run.tor.received.includes('SAVECONF')) await new Promise(setImmediate);
    await run.kept.close();
    assert.deepEqual(await run.news.next(), { done: true, value: undefined });
    assert.deepEqual(run.timers.delays, []);
  });

  test('who waits for a connection may stop to', async (t) => {
    const { kept } = await keep(t, {}, { PROTOCOLINFO: () => {} });
    const caller = new AbortController();
    const reason = new Error('enough');
    const waiting = assert.rejects(kept.connection({ signal: caller.signal }), reason);
    caller.abort(reason);
    await waiting;
    await assert.rejects(kept.connection({ signal: caller.signal }), reason);
  });
});
