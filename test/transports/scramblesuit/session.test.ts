import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { randomBytes, randomInteger } from '../../../src/crypto/rng.ts';
import type { ClientContext, Session, TransportServer } from '../../../src/transports/contract.ts';
import { scramblesuit } from '../../../src/transports/scramblesuit/index.ts';
import { feed, sentBytes } from '../../support/feed.ts';
import { MemoryState } from '../../../src/transports/memory-state.ts';
import { holds } from '../../support/properties.ts';
import { seededRng } from '../../support/rng.ts';
import {
  byteByByte,
  coalesced,
  SessionPair,
  splitAt,
  type Chunking,
} from '../../../src/transports/compliance/session-pair.ts';

const bridge = { host: '192.0.2.3', port: 443 };
const HOUR_MS = 3_600_000;
const NOW_MS = 400_000 * HOUR_MS + 1_800_000;

type Args = readonly (readonly [string, string])[];

/** A bridge and a client of it, with clocks of their own. */
class World {
  serverNowMs: number = NOW_MS;
  clientNowMs: number = NOW_MS;
  readonly serverState: MemoryState = new MemoryState();
  readonly client: ClientContext;
  server!: TransportServer;

  constructor() {
    this.client = {
      rng: seededRng('client'),
      clock: { epochMs: () => this.clientNowMs },
      state: new MemoryState(),
    };
  }

  static async create(options: Args = []): Promise<World> {
    const world = new World();
    await world.startServer(options);
    return world;
  }

  async startServer(options: Args = [], seed = 'server'): Promise<void> {
    this.server = await scramblesuit.server(options, {
      rng: seededRng(seed),
      clock: { epochMs: () => this.serverNowMs },
      state: this.serverState,
      notify: () => {},
    });
  }

  async clientSession(args: Args = this.server.clientArguments): Promise<Session> {
    const createSession = scramblesuit.client(args, this.client);
    await createSession.ready;
    return createSession(bridge);
  }

  serverSession(): Session {
    const session = this.server.createSession();
    session.start();
    return session;
  }

  /** A connection, its handshake run as far as it goes, and whether it was by ticket. */
  async connect(
    options: { chunking?: Chunking; args?: Args } = {},
  ): Promise<{ pair: SessionPair; byTicket: boolean }> {
    const session = await this.clientSession(options.args);
    const start = session.start.bind(session);
    let byTicket = false;
    session.start = () => {
      const actions = start();
      // Whoever redeems a ticket does not wait for long.
      byTicket = actions.some((action) => action.type === 'setTimer' && action.delayMs < 60_000);
      return actions;
    };
    const pair = new SessionPair(session, this.server.createSession(), options);
    return { pair: pair.open(), byTicket };
  }
}

function exchange({ pair }: { pair: SessionPair }): void {
  assert.equal(pair.client.failure, undefined);
  assert.equal(pair.server.failure, undefined);
  pair.write(pair.client, Buffer.from('question'));
  pair.write(pair.server, Buffer.from('answer'));
  assert.equal(pair.server.deliveredBytes.toString(), 'question');
  assert.equal(pair.client.deliveredBytes.toString(), 'answer');
}

/** Whether the server has rejected the client, and said nothing. */
function isRejected({ pair }: { pair: SessionPair }): boolean {
  const { failure, sent, established } = pair.server;
  return failure?.type === 'rejected' && sent.length === 0 && !established;
}

describe('ScrambleSuit’s handshakes', () => {
  test('are by UniformDH at first and by ticket from then on, a new one each time', async () => {
    const world = await World.create();
    const byTicket: boolean[] = [];
    for (let count = 0; count < 5; count += 1) {
      const connection = await world.connect();
      exchange(connection);
      byTicket.push(connection.byTicket);
    }
    assert.deepEqual(byTicket, [false, true, true, true, true]);
  });

  test('do however the bytes are cut', async () => {
    const world = await World.create();
    const points = [1, 111, 112, 113, 144, 191, 192, 193, 224, 400, 1500];
    for (const chunking of [coalesced, byteByByte, ...points.map(splitAt)]) {
      exchange(await world.connect({ chunking }));
    }
  });

  test('by ticket carry payload in the same chunk', async () => {
    const world = await World.create();
    await world.connect();
    const client = await world.clientSession();
    const hello = sentBytes(client.start());
    // Other clients do not wait for the server's first frame, as ours does.
    client.receive(sentBytes(world.serverSession().receive(hello)));
    const bytes = Buffer.concat([hello, sentBytes(client.write(Buffer.from('at once')))]);
    for (let point = hello.length - 40; point <= hello.length + 40; point += 1) {
      // The same ticket again and again: each time before a server that has not seen it.
      world.serverState.files.delete('scramblesuit_replay_filter');
      await world.startServer();
      const server = world.serverSession();
      const { actions } = feed(
        (chunk) => server.receive(chunk),
        [bytes.subarray(0, point), bytes.subarray(point)],
        [],
      );
      const delivered = actions.flatMap((a) => (a.type === 'deliver' ? [a.bytes] : []));
      assert.equal(Buffer.concat(delivered).toString(), 'at once', `${point}`);
    }
  });

  test('by UniformDH are answered in one write, no longer than a message can be', async () => {
    const world = await World.create();
    for (let count = 0; count < 30; count += 1) {
      const client = await world.clientSession();
      const request = sentBytes(client.start());
      assert.ok(request.length >= 224 && request.length <= 1532);
      const actions = world.serverSession().receive(request);
      assert.deepEqual(
        actions.map(({ type }) => type),
        ['clearTimer', 'send', 'established'],
      );
    }
  });

  test('need the password', async () => {
    const world = await World.create();
    const args: Args = [['password', 'A'.repeat(32)]];
    const wrong = await world.connect({ args });
    assert.ok(!wrong.pair.client.established && !wrong.pair.server.established);
    assert.equal(wrong.pair.server.sent.length, 0);
    // Nothing happens until a message is as long as none can be, or the time is over.
    const server = world.serverSession();
    assert.deepEqual(server.receive(randomBytes(seededRng(1), 1531)), []);
    assert.equal(server.receive(Buffer.alloc(1))[0]?.type, 'rejected');
  });

  for (const [hours, accepted] of [
    [-2, false],
    [-1, true],
    [1, true],
    [2, false],
  ] as const) {
    test(`${accepted ? 'take' : 'refuse'} a client whose clock is ${hours} hours off`, async () => {
      const world = await World.create();
      exchange(await world.connect());
      world.clientNowMs += hours * HOUR_MS;
      const byTicket = await world.connect();
      assert.ok(byTicket.byTicket);
      const byUniformDh = await world.connect();
      for (const connection of [byTicket, byUniformDh]) {
        if (accepted) exchange(connection);
        else assert.ok(isRejected(connection));
      }
    });
  }

  test('refuse a replay of either kind, also after a restart', async () => {
    const world = await World.create();
    for (const kind of ['UniformDH', 'ticket']) {
      const client = await world.clientSession();
      const request = sentBytes(client.start());
      const answer = sentBytes(world.serverSession().receive(request));
      assert.ok(answer.length > 0, kind);
      client.receive(answer);
      assert.equal(world.serverSession().receive(request)[0]?.type, 'rejected', kind);
      await world.server.close();
      await world.startServer([], 'restarted');
      assert.equal(world.serverSession().receive(request)[0]?.type, 'rejected', kind);
    }
  });

  test('refuse a ticket that is redeemed a second time under another message', async () => {
    const world = await World.create();
    await world.connect();
    const state = world.client.state as MemoryState;
    await new Promise(setImmediate);
    const tickets = state.files.get('scramblesuit_tickets.json')!;
    exchange(await world.connect());
    const copy = new MemoryState();
    copy.files.set('scramblesuit_tickets.json', tickets);
    const thief = scramblesuit.client(world.server.clientArguments, {
      ...world.client,
      state: copy,
    });
    await thief.ready;
    const request = sentBytes(thief(bridge).start());
    assert.equal(world.serverSession().receive(request)[0]?.type, 'rejected');
  });

  test('go on by ticket after a restart of either end, and after the keys were rotated once', async () => {
    const world = await World.create();
    await world.connect();
    await world.startServer([], 'restarted');
    const again = await world.connect();
    assert.ok(again.byTicket);
    exchange(again);
    // Issued shortly before the rotation, redeemed shortly after.
    for (const hours of [7 * 24 - 1, 2]) {
      world.serverNowMs += hours * HOUR_MS;
      world.clientNowMs += hours * HOUR_MS;
      const connection = await world.connect();
      assert.ok(connection.byTicket);
      exchange(connection);
    }
    await world.server.close();
    const saved = world.serverState.files.get('scramblesuit_state.json')!.toString();
    assert.ok(saved.includes('previous-ticket-keys'));
  });

  test('are by UniformDH for a client without state, or that does not know where it connects to', async () => {
    const world = await World.create();
    const args = world.server.clientArguments;
    const { rng, clock } = world.client;
    for (const createSession of [
      (): Session => scramblesuit.client(args, { rng, clock })(bridge),
      (): Session => scramblesuit.client(args, world.client)(),
    ]) {
      for (let count = 0; count < 2; count += 1) {
        const pair = new SessionPair(createSession(), world.server.createSession()).open();
        assert.ok(pair.client.established);
        exchange({ pair });
      }
    }
    assert.equal((world.client.state as MemoryState).files.size, 0);
  });

  test('give up after 60 seconds on the client and 30 on the server', async () => {
    const world = await World.create();
    const client = await world.clientSession();
    assert.ok(client.start().some((a) => a.type === 'setTimer' && a.delayMs === 60_000));
    const [failed] = client.timerFired();
    assert.ok(failed?.type === 'failed' && failed.error.code === 'ERR_HANDSHAKE_TIMED_OUT');
    const server = world.server.createSession();
    assert.deepEqual(server.start(), [{ type: 'setTimer', delayMs: 30_000 }]);
    const [rejected] = server.timerFired();
    assert.ok(rejected?.type === 'rejected' && rejected.error.code === 'ERR_HANDSHAKE_TIMED_OUT');
  });

  test('by ticket are done at the server’s first frame, and given up soon without one', async () => {
    const world = await World.create();
    await world.connect();
    const client = await world.clientSession();
    const start = client.start();
    assert.deepEqual(
      start.map(({ type }) => type),
      ['send', 'setTimer'],
    );
    const welcome = sentBytes(world.serverSession().receive(sentBytes(start)));
    // The frame with the new ticket: 144 bytes and what a frame adds.
    const frameBytes = 144 + 21;
    assert.deepEqual(client.receive(welcome.subarray(0, frameBytes - 1)), []);
    assert.deepEqual(
      client.receive(welcome.subarray(frameBytes - 1, frameBytes)).map(({ type }) => type),
      ['clearTimer', 'established'],
    );

    const refused = await world.clientSession();
    const timer = refused.start().find((action) => action.type === 'setTimer');
    assert.ok(timer!.delayMs <= 15_000);
    const [failed] = refused.timerFired();
    assert.ok(failed?.type === 'failed' && failed.error.code === 'ERR_HANDSHAKE_TIMED_OUT');
    assert.equal((await world.connect()).byTicket, false, 'the next one goes without');
  });

  test('fail when the other side closes, and by ticket when it closes without a word', async () => {
    const world = await World.create();
    const client = await world.clientSession();
    client.start();
    assert.equal(client.receiveEnd()[0]?.type, 'failed');
    assert.equal(world.serverSession().receiveEnd()[0]?.type, 'failed');
    await world.connect();
    const byTicket = await world.clientSession();
    byTicket.start();
    const [closed] = byTicket.receiveEnd();
    assert.ok(closed?.type === 'failed' && closed.error.code === 'ERR_HANDSHAKE_CLOSED');
  });

  test('take nothing for a handshake that is none', async () => {
    const world = await World.create();
    holds(
      fc.property(fc.array(fc.uint8Array({ maxLength: 900 }), { maxLength: 4 }), (chunks) => {
        const session = world.serverSession();
        const { actions } = feed((chunk) => session.receive(chunk), chunks, ['rejected']);
        assert.ok(actions.every(({ type }) => type === 'rejected'));
      }),
    );
  });

  test('fail at the client when a bit of the answer is changed', async () => {
    const world = await World.create();
    const rng = seededRng('flips');
    for (let count = 0; count < 40; count += 1) {
      // Without state: a ticket from before the changed bit would be kept.
      const { rng: clientRng, clock } = world.client;
      const args = world.server.clientArguments;
      const client = scramblesuit.client(args, { rng: clientRng, clock })(bridge);
      const answer = sentBytes(world.serverSession().receive(sentBytes(client.start())));
      const bit = randomInteger(rng, 0, 8 * answer.length - 1);
      answer[bit >>> 3]! ^= 1 << (bit & 7);
      const actions = [...client.receive(answer), ...client.receiveEnd()];
      assert.ok(
        actions.some(({ type }) => type === 'failed'),
        `bit ${bit}`,
      );
    }
  });
});

describe('ScrambleSuit’s arguments', () => {
  test('are forgiving of how the password is written, and of nothing else', async () => {
    const world = await World.create([['password', 'IO'.repeat(16)]]);
    exchange(await world.connect({ args: [['password', 'i0'.repeat(16)]] }));
    exchange(await world.connect({ args: [['password', '1o'.repeat(16)]] }));
    for (const args of [
      [],
      [['password', '']],
      [['password', 'A'.repeat(24)]],
      [['password', `${'A'.repeat(31)}8`]],
      [
        ['password', 'A'.repeat(32)],
        ['iat-mode', 'x'],
      ],
    ] as Args[]) {
      assert.throws(
        () => scramblesuit.client(args, world.client),
        (error: Error & { code?: string }) =>
          error.code === 'ERR_TRANSPORT_ARGUMENT' && !error.message.includes('AAAA'),
      );
    }
  });
});

describe('ScrambleSuit’s data phase', () => {
  test('ends each direction by itself, and a cut frame is an error', async () => {
    const { pair } = await (await World.create()).connect();
    pair.writeEnd(pair.client);
    assert.ok(pair.server.deliveredEnd);
    pair.write(pair.server, Buffer.from('still here'));
    assert.equal(pair.client.deliveredBytes.toString(), 'still here');

    const { pair: cut } = await (await World.create()).connect();
    const [frame] = cut.client.session.write(Buffer.from('cut'));
    assert.ok(frame?.type === 'send');
    cut.server.session.receive(frame.bytes.subarray(0, 20));
    const [failed] = cut.server.session.receiveEnd();
    assert.ok(failed?.type === 'failed' && failed.error.code === 'ERR_STREAM_TRUNCATED');
  });

  test('with iat-mode=1 writes segments, a pause of up to 10 ms before each', async () => {
    const world = await World.create([['iat-mode', '1']]);
    const args: Args = [...world.server.clientArguments, ['iat-mode', '1']];
    const { pair } = await world.connect({ args });
    const payload = randomBytes(seededRng('iat'), 10_000);
    const sentBefore = pair.client.sent.length;
    const { session } = pair.client;
    pair.client.write(payload);
    assert.equal(pair.client.sent.length, sentBefore, 'a pause comes first');
    assert.ok(session.queuedBytes > payload.length);
    assert.ok(pair.client.timerMs! >= 0 && pair.client.timerMs! <= 10);
    pair.settle();
    const writes = pair.client.sent.slice(sentBefore);
    assert.ok(writes.length >= 8 && writes.slice(0, -1).every(({ length }) => length === 1448));
    assert.ok(pair.server.deliveredBytes.equals(payload));
    assert.equal(session.queuedBytes, 0);
    pair.write(pair.server, payload);
    assert.ok(pair.client.deliveredBytes.equals(payload));
  });

  test('shapes a client’s bursts by the seed of its server', async () => {
    const world = await World.create();
    const { pair } = await world.connect();
    const lengths = new Set<number>();
    for (let count = 0; count < 300; count += 1) {
      const [sent] = pair.client.session.write(Buffer.alloc(10));
      assert.ok(sent?.type === 'send');
      lengths.add(sent.bytes.length % 1448);
    }
    const again = new Set<number>();
    for (let count = 0; count < 300; count += 1) {
      const [sent] = pair.server.session.write(Buffer.alloc(10));
      assert.ok(sent?.type === 'send');
      again.add(sent.bytes.length % 1448);
    }
    // A distribution has at most 100 values, of which two of different seeds share few.
    const shared = [...lengths].filter((length) => again.has(length));
    assert.ok(lengths.size <= 100 && shared.length >= 0.8 * Math.min(lengths.size, again.size));
  });
});
