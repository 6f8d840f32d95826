import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../../src/errors.ts';
import type { Clock } from '../../../src/time.ts';
import { generateElligatorKeyPair } from '../../../src/crypto/elligator2.ts';
import { randomBytes, systemRng, type Rng } from '../../../src/crypto/rng.ts';
import type { KeyValues } from '../../../src/pt/key-value.ts';
import type { Session, TransportServer } from '../../../src/transports/contract.ts';
import { ServerHandshake } from '../../../src/transports/obfs4/handshake.ts';
import { obfs4 } from '../../../src/transports/obfs4/index.ts';
import { Obfs4Shaper } from '../../../src/transports/obfs4/shaping.ts';
import { FailingState } from '../../support/failing-state.ts';
import {
  byteByByte,
  coalesced,
  randomChunks,
  SessionEnd,
  SessionPair,
  splitAt,
  type Chunking,
} from '../../../src/transports/compliance/session-pair.ts';

const HOUR_MS = 3_600_000;
const NOON_MS = 500_000 * HOUR_MS;

/** A clock that a test turns. */
class HandClock implements Clock {
  nowMs = NOON_MS;
  epochMs(): number {
    return this.nowMs;
  }
}

const clock = new HandClock();
const sources = { rng: systemRng, clock };

function startServer(
  state = new FailingState(),
  options: KeyValues = [],
): Promise<TransportServer> {
  return obfs4.server(options, { ...sources, state, notify: assert.fail });
}

function clientOf(server: TransportServer, iatMode = '0', hands: Clock = clock): Session {
  const args: KeyValues = [server.clientArguments[0]!, ['iat-mode', iatMode]];
  return obfs4.client(args, { rng: systemRng, clock: hands })();
}

/** The bytes of a client's handshake. */
function hello(server: TransportServer, hands: Clock = clock): Buffer {
  const client = new SessionEnd('client', clientOf(server, '0', hands));
  client.start();
  return client.sentBytes;
}

function connect(
  server: TransportServer,
  chunking: Chunking = coalesced,
  iatMode = '0',
): SessionPair {
  const pair = new SessionPair(clientOf(server, iatMode), server.createSession(), {
    chunking,
  }).open();
  assert.ok(pair.client.established && pair.server.established);
  return pair;
}

/** Feeds a fresh server session and tells how it took it. */
function probe(server: TransportServer, ...chunks: readonly Uint8Array[]): SessionEnd {
  const end = new SessionEnd('server', server.createSession());
  end.start();
  for (const chunk of chunks) {
    end.receive(chunk);
  }
  return end;
}

function assertRejected(
  end: SessionEnd,
  why: RegExp,
  code: ErrorCode = 'ERR_HANDSHAKE_REJECTED',
): void {
  assert.equal(end.failure?.type, 'rejected');
  assert.equal(end.failure.error.code, code);
  assert.match(end.failure.error.message, why);
  assert.deepEqual(end.sent, [], 'nothing is ever said to whoever has not proven himself');
}

test('payload goes both ways, however the wire cuts it', async () => {
  const server = await startServer();
  for (const chunking of [coalesced, byteByByte, randomChunks(systemRng, 3000)]) {
    const pair = connect(server, chunking);
    const up = randomBytes(systemRng, 5000);
    const down = randomBytes(systemRng, 3000);
    pair.write(pair.client, up).write(pair.server, down);
    assert.deepEqual(pair.server.deliveredBytes, up);
    assert.deepEqual(pair.client.deliveredBytes, down);
  }
});

test('a handshake cut at any place is still a handshake', async () => {
  const server = await startServer();
  const lengths = [1, 31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 140, 141, 142];
  for (const point of lengths) {
    const pair = connect(server, splitAt(point));
    pair.write(pair.client, Buffer.from('up'));
    assert.equal(pair.server.deliveredBytes.toString(), 'up');
  }
});

test('the last byte of a handshake may come with the first payload behind it', async () => {
  const server = await startServer();
  const client = new SessionEnd('client', clientOf(server));
  const accepted = new SessionEnd('server', server.createSession());
  client.start();
  accepted.receive(client.sent[0]!);
  accepted.write(Buffer.from('early'));
  client.receive(Buffer.concat(accepted.sent));
  assert.equal(client.deliveredBytes.toString(), 'early');
});

test('handshakes keep to the lengths of obfs4proxy', async () => {
  const server = await startServer();
  const replies = new Set<number>();
  for (let run = 0; run < 60; run += 1) {
    const pair = connect(server);
    const request = pair.client.sent[0]!.length;
    const reply = pair.server.sent[0]!.length;
    assert.ok(request >= 64 + 77 && request <= 8192, `request of ${request}`);
    assert.ok(reply >= 96 + 45 && reply <= 8192, `reply of ${reply}`);
    assert.equal(pair.server.sent.length, 1, 'the seed frame is in the same write');
    replies.add(reply);
  }
  assert.ok(replies.size > 30, 'padding is random');
});

test('each burst is padded to a length that the bridge’s seed gives', async () => {
  const server = await startServer();
  const tails = new Set<number>();
  for (let run = 0; run < 300; run += 1) {
    const pair = connect(server);
    pair.write(pair.client, Buffer.from('x'));
    tails.add(pair.client.sent[1]!.length % 1448);
  }
  // The distribution has at most 100 values; where padding needs two frames it overshoots by 21.
  assert.ok(tails.size <= 200, `${tails.size} lengths`);
});

for (const iatMode of ['1', '2']) {
  test(`iat-mode=${iatMode} sends small writes with pauses of up to 10 ms, and loses nothing`, async () => {
    const server = await startServer(new FailingState(), [['iat-mode', iatMode]]);
    const pair = connect(server, coalesced, iatMode);
    const payload = randomBytes(systemRng, 20_000);
    pair.client.write(payload);
    assert.equal(pair.client.sent.length, 2, 'one write, then a pause');
    assert.ok(pair.client.session.queuedBytes > 0);
    const pauses: number[] = [];
    while (pair.client.session.queuedBytes > 0) {
      pauses.push(pair.client.timerMs!);
      pair.client.fireTimer();
    }
    pair.settle();
    assert.deepEqual(pair.server.deliveredBytes, payload);
    const writes = pair.client.sent.slice(1).map(({ length }) => length);
    assert.ok(Math.max(...writes) <= 1448 && Math.min(...writes) > 0);
    assert.ok(
      pauses.every((ms) => ms >= 0 && ms <= 10 && Math.abs(ms * 10 - Math.round(ms * 10)) < 1e-9),
    );
    pair.write(pair.server, payload);
    assert.deepEqual(pair.client.deliveredBytes, payload);
  });
}

test('a distribution that holds nothing but 0 does not stop a paranoid client', () => {
  // The bridge chooses the seed, and obfs4proxy 0.0.14 panics on one whose distribution gives 0.
  class AllZero extends Obfs4Shaper {
    override sampleLength(): number {
      return 0;
    }
  }
  assert.equal(new AllZero(Buffer.alloc(24), systemRng).sampleWriteLength(), 1448);
});

test('a server accepts the hour before and after its own, and answers in the client’s hour', async () => {
  const server = await startServer();
  for (const [offset, accepted] of [
    [-2, false],
    [-1, true],
    [0, true],
    [1, true],
    [2, false],
  ] as const) {
    const hands = new HandClock();
    hands.nowMs = NOON_MS + offset * HOUR_MS;
    const client = clientOf(server, '0', hands);
    const pair = new SessionPair(client, server.createSession()).open();
    assert.equal(pair.client.established, accepted, `offset ${offset}`);
    if (!accepted) assertRejected(pair.server, /clock/);
  }
});

test('a replayed handshake is rejected, also after a restart and also when the log was cut', async () => {
  const state = new FailingState();
  const server = await startServer(state);
  const recorded = hello(server);
  assert.equal(probe(server, recorded).sent.length, 1);
  assertRejected(probe(server, recorded), /seen before/, 'ERR_HANDSHAKE_REPLAYED');
  await server.close();

  const restarted = await startServer(state);
  assertRejected(probe(restarted, recorded), /seen before/, 'ERR_HANDSHAKE_REPLAYED');

  const log = state.files.get('obfs4_replay_filter')!;
  state.files.set('obfs4_replay_filter', Buffer.concat([log, Buffer.from('half a rec')]));
  assertRejected(
    probe(await startServer(state), recorded),
    /seen before/,
    'ERR_HANDSHAKE_REPLAYED',
  );
});

test('what the replay log holds beyond three hours is dropped at the next start', async () => {
  const state = new FailingState();
  const server = await startServer(state);
  probe(server, hello(server));
  await server.close();
  assert.ok(state.files.get('obfs4_replay_filter')!.length > 0);
  clock.nowMs += 4 * HOUR_MS;
  await startServer(state);
  clock.nowMs = NOON_MS;
  assert.equal(state.files.get('obfs4_replay_filter')!.length, 0);
});

test('a full disk costs the replay log, is said once, and breaks no connection', async () => {
  const state = new FailingState();
  const notices: string[] = [];
  const server = await obfs4.server([], {
    ...sources,
    state,
    notify: (notice) => void notices.push(notice),
  });
  state.fail = new Error('ENOSPC');
  for (let run = 0; run < 3; run += 1) {
    assert.equal(probe(server, hello(server)).established, true);
    await server.close();
  }
  assert.equal(notices.length, 1);
  assert.match(notices[0]!, /cannot be remembered/);
});

test('every probe that fails is rejected in silence', async () => {
  const server = await startServer();
  const other = await startServer();
  const valid = hello(server);
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(valid);
    copy[at]! ^= 1;
    return copy;
  };
  const tooLong = randomBytes(systemRng, 8192);
  assertRejected(probe(server, tooLong), /no mark/);
  assertRejected(probe(server, tooLong, Buffer.from('more')), /no mark/);
  assertRejected(probe(server, ...Array.from(tooLong, (byte) => Uint8Array.of(byte))), /no mark/);
  assertRejected(probe(server, hello(other), randomBytes(systemRng, 8192)), /no mark/);
  assertRejected(probe(server, flipped(valid.length - 1)), /MAC/);
  assertRejected(probe(server, flipped(0), randomBytes(systemRng, 8192)), /no mark/);
  assertRejected(probe(server, Buffer.concat([valid, Buffer.from('x')]), tooLong), /no mark/);
  // The mark is right, and the message is too long all the same.
  assertRejected(probe(server, Buffer.concat([valid, tooLong])), /no mark/);

  const silent = probe(server, valid.subarray(0, 100));
  assert.equal(silent.timerMs, 30_000);
  silent.fireTimer();
  assert.equal(silent.failure?.type, 'rejected');
  assert.equal(silent.failure.error.code, 'ERR_HANDSHAKE_TIMED_OUT');

  const closed = probe(server, valid.subarray(0, 100));
  closed.receiveEnd();
  assert.equal(closed.failure?.error.code, 'ERR_HANDSHAKE_CLOSED');
});

test('the time of closing is fixed by the bridge’s seed: 30 to 89 seconds', async () => {
  const delays = new Set<number>();
  for (let run = 0; run < 40; run += 1) {
    const state = new FailingState();
    const { rejectAfterMs } = await startServer(state);
    assert.equal((await startServer(state)).rejectAfterMs, rejectAfterMs);
    assert.ok(rejectAfterMs >= 30_000 && rejectAfterMs < 90_000 && rejectAfterMs % 1000 === 0);
    delays.add(rejectAfterMs);
  }
  assert.ok(delays.size > 10);
});

test('a client refuses whoever is not the bridge of its line', async () => {
  const server = await startServer();
  const hellos = (): SessionEnd => {
    const end = new SessionEnd('client', clientOf(server));
    end.start();
    return end;
  };
  const client = hellos();
  client.receive(randomBytes(systemRng, 8192));
  assert.equal(client.failure?.type, 'failed');
  assert.equal(client.failure.error.code, 'ERR_HANDSHAKE_REJECTED');

  for (const [at, why] of [
    [0, /no mark/],
    [40, /MAC/],
  ] as const) {
    const victim = hellos();
    const [reply] = probe(server, victim.sent[0]!).sent;
    reply![at]! ^= 1;
    victim.receive(reply!);
    if (victim.failure === undefined) {
      victim.receive(randomBytes(systemRng, 8192));
    }
    assert.match(victim.failure!.error.message, why);
  }

  const waiting = hellos();
  assert.equal(waiting.timerMs, 60_000);
  waiting.fireTimer();
  assert.equal(waiting.failure?.error.code, 'ERR_HANDSHAKE_TIMED_OUT');
});

test('strangers leave their key pairs to those who come behind them, and no two clients get the same', async () => {
  let drawn = 0;
  const rng: Rng = {
    fill(bytes) {
      drawn += 1;
      systemRng.fill(bytes);
    },
  };
  const state = new FailingState();
  const server = await obfs4.server([], { rng, clock, state, notify: assert.fail });
  for (let stranger = 0; stranger < 16; stranger += 1) server.createSession();
  const drawnByFew = drawn;
  for (let stranger = 0; stranger < 1000; stranger += 1) server.createSession();
  assert.equal(drawn, drawnByFew);
  const representatives = new Set<string>();
  for (let client = 0; client < 40; client += 1) {
    const end = new SessionEnd('server', server.createSession());
    end.start();
    end.receive(hello(server));
    representatives.add(end.sentBytes.toString('hex', 0, 32));
  }
  assert.equal(representatives.size, 40);
});

test('a wrong public key with the right MAC key would still fail the authentication', async () => {
  // Someone who holds the bridge line, and so the MAC key, but not the private key: he can answer
  // with a mark and a MAC, and the AUTH gives him away.
  const state = new FailingState();
  const server = await startServer(state);
  const json = JSON.parse(state.files.get('obfs4_state.json')!.toString()) as Record<
    string,
    string
  >;
  const impostor = new ServerHandshake(
    {
      nodeId: Buffer.from(json['node-id']!, 'hex'),
      publicKey: Buffer.from(json['public-key']!, 'hex'),
      privateKey: randomBytes(systemRng, 32),
    },
    () => generateElligatorKeyPair(systemRng),
    () => false,
    sources,
  );
  const client = new SessionEnd('client', clientOf(server));
  client.start();
  const { response } = impostor.receive(client.sent[0]!)!;
  client.receive(response);
  assert.match(client.failure!.error.message, /authenticate/);
});

test('the end of a stream is relayed, and one inside a frame is an error', async () => {
  const server = await startServer();
  const pair = connect(server);
  pair.write(pair.client, Buffer.from('bye')).writeEnd(pair.client);
  assert.equal(pair.server.deliveredBytes.toString(), 'bye');
  assert.ok(pair.server.deliveredEnd);
  pair.write(pair.server, Buffer.from('the other way goes on'));
  assert.equal(pair.client.deliveredBytes.toString(), 'the other way goes on');

  const cut = connect(server);
  cut.client.write(Buffer.from('cut'));
  cut.server.receive(cut.client.sent[1]!.subarray(0, 10));
  cut.server.receiveEnd();
  assert.equal(cut.server.failure?.error.code, 'ERR_STREAM_TRUNCATED');
});

test('a forged frame ends an established connection', async () => {
  const pair = connect(await startServer());
  pair.client.write(Buffer.from('hello'));
  const frames = pair.client.sent[1]!;
  frames[5]! ^= 1;
  pair.server.receive(Buffer.concat([frames, Buffer.alloc(1500)]));
  assert.equal(pair.server.failure?.type, 'failed');
  assert.equal(pair.server.failure.error.code, 'ERR_FRAME_MALFORMED');
});
