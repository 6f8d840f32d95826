import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TransportServer } from '../../../src/transports/contract.ts';
import { scramblesuit } from '../../../src/transports/scramblesuit/index.ts';
import { FailingState } from '../../support/failing-state.ts';
import { seededRng } from '../../support/rng.ts';

const FILE = 'scramblesuit_state.json';
const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

function start(
  state: FailingState,
  options: readonly (readonly [string, string])[] = [],
  extra: { notices?: string[]; nowMs?: number } = {},
): Promise<TransportServer> {
  return scramblesuit.server(options, {
    rng: seededRng(`state ${state.files.size}`),
    clock: { epochMs: () => extra.nowMs ?? 0 },
    state,
    notify: (notice) => void extra.notices?.push(notice),
  });
}

describe('ScrambleSuit’s server state', () => {
  test('has a password of 20 bytes that is made once and published', async () => {
    const state = new FailingState();
    const first = await start(state);
    const [[name, password]] = first.clientArguments as [[string, string]];
    assert.equal(name, 'password');
    assert.match(password, /^[A-Z2-7]{32}$/);
    const second = await start(state);
    assert.deepEqual(second.clientArguments, first.clientArguments);
    assert.equal(second.rejectAfterMs, first.rejectAfterMs);
    assert.ok(first.rejectAfterMs >= 30_000 && first.rejectAfterMs < 90_000);
  });

  test('leaves a password that is given to whoever gave it, and publishes it as it should be written', async () => {
    const state = new FailingState();
    const own = (await start(state)).clientArguments;
    const chosen = await start(state, [['password', 'abcdefghijklmnopqrstuvwxyz234501']]);
    assert.deepEqual(chosen.clientArguments, [['password', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ2345OI']]);
    assert.deepEqual((await start(state)).clientArguments, own);
  });

  test('is restored from its previous copy, and the operator hears of it', async () => {
    const state = new FailingState();
    const { clientArguments } = await start(state);
    for (const damaged of ['', '{"password":', '{}', 'null']) {
      state.files.set(FILE, Buffer.from(damaged));
      const notices: string[] = [];
      assert.deepEqual((await start(state, [], { notices })).clientArguments, clientArguments);
      assert.equal(notices.length, 1, damaged);
    }
    state.files.delete(FILE);
    assert.deepEqual((await start(state)).clientArguments, clientArguments);
  });

  test('is never replaced in silence, whatever field is damaged', async () => {
    const state = new FailingState();
    await start(state);
    const whole = JSON.parse(state.files.get(FILE)!.toString()) as Record<string, unknown>;
    for (const field of ['password', 'prng-seed', 'ticket-keys']) {
      const damaged = Buffer.from(JSON.stringify({ ...whole, [field]: 'x' }));
      state.files.set(FILE, damaged);
      state.files.set(`${FILE}.previous`, damaged);
      await assert.rejects(() => start(state), { code: 'ERR_TRANSPORT_STATE' }, field);
      assert.ok(state.files.get(FILE)!.equals(damaged));
    }
  });

  test('saves the ticket keys when they are rotated, with those before them', async () => {
    const state = new FailingState();
    await start(state);
    const before = JSON.parse(state.files.get(FILE)!.toString()) as Record<string, object>;
    const server = await start(state, [], { nowMs: WEEK_MS });
    const session = server.createSession();
    session.start();
    session.receive(Buffer.alloc(144)); // looked at as a ticket, with keys that are due
    await server.close();
    const after = JSON.parse(state.files.get(FILE)!.toString()) as Record<string, object>;
    assert.deepEqual(after['previous-ticket-keys'], before['ticket-keys']);
    assert.notDeepEqual(after['ticket-keys'], before['ticket-keys']);
    assert.deepEqual(after['password'], before['password']);
    const { clientArguments } = await start(state, [], { nowMs: WEEK_MS });
    assert.deepEqual(clientArguments, server.clientArguments);
  });

  test('tells the operator when the rotated keys cannot be saved', async () => {
    const state = new FailingState();
    await start(state);
    const notices: string[] = [];
    const server = await start(state, [], { nowMs: WEEK_MS, notices });
    state.fail = new Error('disk full');
    const session = server.createSession();
    session.start();
    session.receive(Buffer.alloc(144));
    await server.close();
    assert.equal(notices.length, 1);
  });

  test('is not touched by a wrong option', async () => {
    const state = new FailingState();
    for (const options of [
      [['password', 'TOOSHORT']],
      [['password', '']],
      [['iat-mode', '2']],
    ] as const) {
      await assert.rejects(() => start(state, options), { code: 'ERR_TRANSPORT_ARGUMENT' });
    }
    assert.equal(state.files.size, 0);
  });
});
