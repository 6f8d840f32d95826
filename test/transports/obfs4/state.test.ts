import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRng } from '../../../src/crypto/rng.ts';
import type { KeyValues } from '../../../src/pt/key-value.ts';
import {
  clientArguments,
  loadServerState,
  type ServerState,
} from '../../../src/transports/obfs4/state.ts';
import { FailingState } from '../../support/failing-state.ts';
import { systemClock } from '../../../src/time.ts';

const FILE = 'obfs4_state.json';

// Written by Debian's obfs4proxy 0.0.14, with the SMETHOD line that it then printed.
const OBFS4PROXY_STATE =
  '{"node-id":"45911e83561fe3113bd9043568570c67735e80d0","private-key":"192252287c026c5c5de7862c5566c48e3d70f170fea5c51ea52e8bb03462878d","public-key":"f0ecb54deca1afdd15ff6710a3ccb72cb8abc17b72ba3017e40c59d139344a1e","drbg-seed":"cc666d979fdf092fe73b410a650b2e16d4069ab7614e89f3","iat-mode":0}';
const OBFS4PROXY_CERT = 'RZEeg1Yf4xE72QQ1aFcMZ3NegNDw7LVN7KGv3RX/ZxCjzLcsuKvBe3K6MBfkDFnROTRKHg';

interface Loaded {
  readonly state: ServerState;
  readonly notices: string[];
}

async function load(store: FailingState, options: KeyValues = []): Promise<Loaded> {
  const notices: string[] = [];
  const notify = (notice: string): void => void notices.push(notice);
  const context = { state: store, rng: systemRng, clock: systemClock, notify };
  return { state: await loadServerState(options, context), notices };
}

function stateError(mentions: RegExp): (error: Error & { code?: string }) => boolean {
  return (error) => error.code === 'ERR_TRANSPORT_STATE' && mentions.test(error.message);
}

test('[PT-3.2.1-08] a first start makes an identity, a second one keeps it', async () => {
  const store = new FailingState();
  const first = await load(store);
  const second = await load(store);
  assert.deepEqual(clientArguments(second.state), clientArguments(first.state));
  assert.deepEqual([...first.notices, ...second.notices], []);
  const other = await load(new FailingState());
  assert.notDeepEqual(clientArguments(other.state), clientArguments(first.state));
});

test('a state file of obfs4proxy gives the cert that obfs4proxy prints', async () => {
  const store = new FailingState();
  store.files.set(FILE, Buffer.from(OBFS4PROXY_STATE));
  const { state } = await load(store);
  assert.deepEqual(clientArguments(state), [
    ['cert', OBFS4PROXY_CERT],
    ['iat-mode', '0'],
  ]);
  assert.equal(store.files.get(FILE)!.toString(), OBFS4PROXY_STATE, 'left as it was');
});

test('the bridge line file ends in the line that clients need', async () => {
  const store = new FailingState();
  store.files.set(FILE, Buffer.from(OBFS4PROXY_STATE));
  await load(store);
  assert.equal(
    store.files.get('obfs4_bridgeline.txt')!.toString().trimEnd().split('\n').at(-1),
    `Bridge obfs4 <IP ADDRESS>:<PORT> <FINGERPRINT> cert=${OBFS4PROXY_CERT} iat-mode=0`,
  );
});

const DAMAGED: readonly [string, string][] = [
  ['empty', ''],
  ['truncated', OBFS4PROXY_STATE.slice(0, 100)],
  ['not JSON', 'hello'],
  ['another JSON', '[]'],
  ['null', 'null'],
  ['without a key', OBFS4PROXY_STATE.replace(/"private-key":"[0-9a-f]*",/, '')],
  ['with a short seed', OBFS4PROXY_STATE.replace('cc666d', '')],
  ['with a foreign public key', OBFS4PROXY_STATE.replace('f0ecb5', 'f0ecb6')],
];

for (const [what, content] of DAMAGED) {
  test(`a state file that is ${what} is replaced by its previous copy, or stops the start`, async () => {
    const store = new FailingState();
    const { state } = await load(store);
    const whole = store.files.get(FILE)!;
    store.files.set(FILE, Buffer.from(content));
    const repaired = await load(store);
    assert.deepEqual(clientArguments(repaired.state), clientArguments(state));
    assert.match(repaired.notices.join(), /restored/);
    assert.deepEqual(store.files.get(FILE), whole);
    assert.deepEqual(store.files.get(`${FILE}.previous`), whole, 'ready for the next accident');

    store.files.set(FILE, Buffer.from(content));
    store.files.delete(`${FILE}.previous`);
    await assert.rejects(load(store), stateError(/memory:obfs4_state\.json .*backup/s));
    assert.equal(store.files.get(FILE)!.toString(), content, 'nothing is overwritten');
  });
}

test('a state file that vanished is restored, and not silently replaced', async () => {
  const store = new FailingState();
  const { state } = await load(store);
  store.files.delete(FILE);
  const restored = await load(store);
  assert.deepEqual(clientArguments(restored.state), clientArguments(state));
  assert.match(restored.notices.join(), /missing/);
});

test('a state that cannot be saved stops the start: a bridge line must outlive its bridge', async () => {
  const store = new FailingState();
  store.fail = new Error('ENOSPC');
  await assert.rejects(load(store), /ENOSPC/);
});

test('`iat-mode` alone changes the file and keeps the identity', async () => {
  const store = new FailingState();
  const { state } = await load(store);
  const changed = await load(store, [['iat-mode', '2']]);
  assert.equal(changed.state.iatMode, 2);
  assert.deepEqual(changed.state.identity, state.identity);
  assert.equal((await load(store)).state.iatMode, 2);
});

test('an identity from options is used and does not touch the file', async () => {
  const store = new FailingState();
  await load(store);
  const before = store.files.get(FILE);
  const {
    'private-key': privateKey,
    'node-id': nodeId,
    'drbg-seed': seed,
  } = JSON.parse(OBFS4PROXY_STATE);
  const options: KeyValues = [
    ['private-key', privateKey],
    ['node-id', nodeId],
    ['drbg-seed', seed],
    ['iat-mode', '1'],
  ];
  const { state } = await load(store, options);
  assert.deepEqual(clientArguments(state), [
    ['cert', OBFS4PROXY_CERT],
    ['iat-mode', '1'],
  ]);
  assert.deepEqual(store.files.get(FILE), before);

  for (const { length } of [options.slice(0, 1), options.slice(0, 2)]) {
    await assert.rejects(load(store, options.slice(0, length)), {
      code: 'ERR_TRANSPORT_ARGUMENT',
      message: /go together.*drbg-seed.*missing/,
    });
  }
  const bad = options.map(([key, value]) => [key, key === 'node-id' ? 'zz' : value] as const);
  await assert.rejects(load(store, bad), { code: 'ERR_TRANSPORT_ARGUMENT', message: /node-id/ });
});
