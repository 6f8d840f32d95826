import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TicketStore } from '../../../src/transports/scramblesuit/ticket-store.ts';
import { TICKET_LIFETIME_SECONDS } from '../../../src/transports/scramblesuit/tickets.ts';
import { FailingState } from '../../support/failing-state.ts';

const FILE = 'scramblesuit_tickets.json';
const NOW = 1_700_000_000;
const clock = { epochMs: () => NOW * 1000 };
const bridge = { host: '192.0.2.3', port: 443 };
const bridge6 = { host: '2001:db8::3', port: 443 };
const keyTicket = Buffer.alloc(144, 0xab);
/** 144 times 0xab in Base32, with the padding that Go's encoder writes. */
const TEXT = `${'VOV2XK5L'.repeat(28)}VOV2XKY=`;

/** A state in which obfs4proxy has left such tickets. */
function stateWith(tickets: object): FailingState {
  const state = new FailingState();
  state.files.set(FILE, Buffer.from(JSON.stringify(tickets)));
  return state;
}

/** What the file says once everything is written. */
async function written(state: FailingState): Promise<unknown> {
  await new Promise(setImmediate);
  return JSON.parse(state.files.get(FILE)!.toString()) as unknown;
}

describe('ScrambleSuit’s ticket store', () => {
  test('reads obfs4proxy’s file and hands each ticket out once', async () => {
    const state = stateWith({ '192.0.2.3:443': { 'key-ticket': TEXT, issuedAt: NOW - 5 } });
    const store = TicketStore.of(state, clock);
    await store.ready;
    const ticket = store.take(bridge);
    assert.deepEqual(ticket?.masterKey, keyTicket.subarray(0, 32));
    assert.deepEqual(ticket?.ticket, keyTicket.subarray(32));
    assert.equal(store.take(bridge), undefined);
    assert.deepEqual(await written(state), {});
  });

  test('writes obfs4proxy’s file, IPv6 addresses in brackets', async () => {
    const state = new FailingState();
    const store = TicketStore.of(state, clock);
    store.put(bridge, keyTicket);
    store.put(bridge6, keyTicket);
    assert.deepEqual(await written(state), {
      '192.0.2.3:443': { 'key-ticket': TEXT, issuedAt: NOW },
      '[2001:db8::3]:443': { 'key-ticket': TEXT, issuedAt: NOW },
    });
  });

  test('is one for all connections with the same state', async () => {
    const state = new FailingState();
    TicketStore.of(state, clock).put(bridge, keyTicket);
    assert.ok(TicketStore.of(state, clock).take(bridge) !== undefined);
    assert.equal(TicketStore.of(new FailingState(), clock).take(bridge), undefined);
  });

  test('forgets tickets of seven days, in the file and in memory', async () => {
    const old = NOW - TICKET_LIFETIME_SECONDS;
    const state = stateWith({
      '192.0.2.3:443': { 'key-ticket': TEXT, issuedAt: old },
      '192.0.2.4:443': { 'key-ticket': TEXT, issuedAt: old + 1 },
    });
    const turned = { now: NOW, epochMs: () => turned.now * 1000 };
    const store = TicketStore.of(state, turned);
    await store.ready;
    assert.equal(store.take(bridge), undefined);
    turned.now += 1;
    assert.equal(store.take({ host: '192.0.2.4', port: 443 }), undefined);
  });

  test('keeps what was put before the file was read, and what the file has of other bridges', async () => {
    const state = stateWith({
      '192.0.2.3:443': { 'key-ticket': TEXT, issuedAt: NOW },
      '[2001:db8::3]:443': { 'key-ticket': TEXT, issuedAt: NOW },
    });
    const store = TicketStore.of(state, clock);
    store.put(bridge, Buffer.alloc(144, 1));
    await store.ready;
    assert.deepEqual(Object.keys((await written(state)) as object).sort(), [
      '192.0.2.3:443',
      '[2001:db8::3]:443',
    ]);
    assert.equal(store.take(bridge)?.ticket[0], 1);
    assert.equal(store.take(bridge6)?.ticket[0], 0xab);
  });

  test('starts empty over a file that it cannot read, and skips entries that it cannot', async () => {
    for (const content of ['', '{', 'null', '7', '[]', '{"192.0.2.3:443":null}']) {
      const state = new FailingState();
      state.files.set(FILE, Buffer.from(content));
      const store = TicketStore.of(state, clock);
      await store.ready;
      assert.equal(store.take(bridge), undefined, content);
    }
    const store = TicketStore.of(
      stateWith({
        '192.0.2.3:443': { 'key-ticket': TEXT.slice(8), issuedAt: NOW },
        '192.0.2.4:443': { 'key-ticket': TEXT },
        '[2001:db8::3]:443': { 'key-ticket': TEXT, issuedAt: NOW },
      }),
      clock,
    );
    await store.ready;
    assert.equal(store.take(bridge), undefined);
    assert.equal(store.take({ host: '192.0.2.4', port: 443 }), undefined);
    assert.ok(store.take(bridge6) !== undefined);
  });

  test('works on in memory when it cannot save', async () => {
    const state = new FailingState();
    state.fail = new Error('disk full');
    const store = TicketStore.of(state, clock);
    store.put(bridge, keyTicket);
    await new Promise(setImmediate);
    assert.ok(store.take(bridge) !== undefined);
  });
});
