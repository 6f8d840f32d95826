import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../../src/time.ts';
import type { Rng } from '../../../src/crypto/rng.ts';
import type { Session } from '../../../src/transports/contract.ts';
import { obfs3 } from '../../../src/transports/obfs3/index.ts';
import { MemoryState } from '../../../src/transports/memory-state.ts';
import { scriptedRng, seededRng } from '../../support/rng.ts';
import {
  byteByByte,
  coalesced,
  randomChunks,
  SessionEnd,
  SessionPair,
  splitAt,
  type Chunking,
} from '../../../src/transports/compliance/session-pair.ts';
import { fromHex, readVectors, toHex } from '../../support/vectors.ts';

const HELLO_BYTES = 192;
const MAX_PADDING_BYTES = 4097;
const MAGIC_BYTES = 32;

interface Side {
  readonly drawn: string;
  readonly firstPadding: string;
  readonly secondPadding: string;
  readonly data: string;
  readonly firstMessage: string;
  readonly secondMessage: string;
}
const { connections } = readVectors<{ connections: { initiator: Side; responder: Side }[] }>(
  'obfs3.json',
);

function createClient(rng: Rng = seededRng('client')): Session {
  return obfs3.client([], { rng, clock: systemClock })();
}

async function createServer(rng: Rng = seededRng('server')): Promise<Session> {
  const context = { rng, clock: systemClock, state: new MemoryState(), notify: () => {} };
  return (await obfs3.server([], context)).createSession();
}

async function createPair(chunking: Chunking = coalesced): Promise<SessionPair> {
  return new SessionPair(createClient(), await createServer(), { chunking });
}

/** Randomness in the order in which a session draws it: the key, then each padding's length and bytes. */
function scriptOf({ drawn, firstPadding, secondPadding }: Side): Rng {
  const paddings = [firstPadding, secondPadding].map(fromHex).flatMap((padding) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(padding.length);
    return [length, padding];
  });
  return scriptedRng(Buffer.concat([fromHex(drawn), ...paddings]));
}

test('both ends send the known bytes, whatever the coins of UniformDH', async () => {
  for (const { initiator, responder } of connections) {
    const pair = new SessionPair(
      createClient(scriptOf(initiator)),
      await createServer(scriptOf(responder)),
    );
    pair.open();
    pair.write(pair.client, fromHex(initiator.data));
    pair.write(pair.server, fromHex(responder.data));
    for (const [end, expected, other] of [
      [pair.client, initiator, responder],
      [pair.server, responder, initiator],
    ] as const) {
      assert.deepEqual(end.sent.map(toHex), [expected.firstMessage, expected.secondMessage]);
      assert.equal(toHex(end.deliveredBytes), other.data);
    }
  }
});

test('both sides are established by the public keys alone; the magic comes with the first data', async () => {
  const pair = (await createPair()).open();
  for (const end of [pair.client, pair.server]) {
    assert.equal(end.established, true);
    assert.equal(end.timerMs, undefined);
    assert.equal(end.sent.length, 1);
    assert.ok(end.sent[0]!.length >= HELLO_BYTES);
    assert.ok(end.sent[0]!.length <= HELLO_BYTES + MAX_PADDING_BYTES);
  }
});

test('data arrives unchanged however the wire cuts it, and each write is one send', async () => {
  const rng = seededRng('chunks');
  const chunkings = [coalesced, byteByByte, randomChunks(rng, 50), randomChunks(rng, 5000)];
  for (const chunking of chunkings) {
    const pair = (await createPair(chunking)).open();
    const upload = Buffer.alloc(3000, 'upload');
    const download = Buffer.alloc(2000, 'download');
    pair.write(pair.client, upload).write(pair.server, download);
    pair.write(pair.client, upload).write(pair.server, download);
    assert.deepEqual(pair.server.deliveredBytes, Buffer.concat([upload, upload]));
    assert.deepEqual(pair.client.deliveredBytes, Buffer.concat([download, download]));
    assert.equal(pair.client.sent.length, 3);
  }
});

test('a stream split at any point around its seams arrives unchanged', async () => {
  const { initiator, responder } = connections[0]!;
  const total = (initiator.firstMessage.length + initiator.secondMessage.length) / 2;
  for (let point = 1; point < total; point += 1) {
    const client = createClient(scriptOf(initiator));
    const server = await createServer(scriptOf(responder));
    const pair = new SessionPair(client, server, { chunking: splitAt(point) });
    pair.open().write(pair.client, fromHex(initiator.data));
    assert.equal(toHex(pair.server.deliveredBytes), initiator.data, `split at ${point}`);
  }
});

test('all that a client sends may come in one chunk: handshake, magic and data', async () => {
  const server = new SessionEnd('server', await createServer());
  server.start();
  const client = new SessionEnd('client', createClient());
  client.start();
  client.receive(server.sentBytes);
  client.write(Buffer.from('early'));
  server.receive(client.sentBytes);
  assert.equal(server.deliveredBytes.toString(), 'early');
});

test('a server may speak first, and a side may say nothing at all', async () => {
  const pair = (await createPair()).open();
  pair.write(pair.server, Buffer.from('220 hello')).writeEnd(pair.server).writeEnd(pair.client);
  assert.equal(pair.client.deliveredBytes.toString(), '220 hello');
  assert.equal(pair.client.deliveredEnd, true);
  assert.equal(pair.server.deliveredEnd, true);
  assert.equal(pair.server.failure, undefined);
});

test('one side may end while the other goes on', async () => {
  const pair = (await createPair()).open();
  pair.write(pair.client, Buffer.from('request')).writeEnd(pair.client);
  assert.equal(pair.server.deliveredEnd, true);
  pair.write(pair.server, Buffer.from('response')).writeEnd(pair.server);
  assert.equal(pair.client.deliveredBytes.toString(), 'response');
  assert.equal(pair.client.deliveredEnd, true);
});

test('a peer that closes during the handshake ends the session', async () => {
  for (const end of [
    new SessionEnd('client', createClient()),
    new SessionEnd('server', await createServer()),
  ]) {
    end.start();
    end.receive(Buffer.alloc(HELLO_BYTES - 1, 1));
    end.receiveEnd();
    assert.equal(end.failure?.error.code, 'ERR_HANDSHAKE_CLOSED');
  }
});

const sides: readonly ['client' | 'server', () => Promise<Session>, 'failed' | 'rejected'][] = [
  ['client', async () => createClient(), 'failed'],
  ['server', () => createServer(), 'rejected'],
];

for (const [name, create, type] of sides) {
  test(`a ${name} gives up on a silent peer after 30 seconds`, async () => {
    const end = new SessionEnd(name, await create());
    end.start();
    assert.equal(end.timerMs, 30_000);
    end.receive(Buffer.alloc(HELLO_BYTES - 1, 1));
    end.fireTimer();
    assert.equal(end.failure?.type, type);
    assert.equal(end.failure.error.code, 'ERR_HANDSHAKE_TIMED_OUT');
  });

  test(`a ${name} refuses a degenerate public key`, async () => {
    for (const publicKey of [Buffer.alloc(HELLO_BYTES), Buffer.alloc(HELLO_BYTES, 0xff)]) {
      const end = new SessionEnd(name, await create());
      end.start();
      end.receive(publicKey);
      assert.equal(end.established, false);
      assert.equal(end.failure?.type, type);
      assert.equal(end.failure.error.code, 'ERR_HANDSHAKE_REJECTED');
    }
  });

  test(`a ${name} looks for the magic in 8194 + 32 bytes and no more`, async () => {
    const limit = 2 * MAX_PADDING_BYTES + MAGIC_BYTES;
    for (const chunkBytes of [1, 1000, limit, limit + 1000]) {
      const end = new SessionEnd(name, await create());
      end.start();
      end.receive(Buffer.alloc(HELLO_BYTES, 1));
      assert.equal(end.established, true);
      let fed = 0;
      for (; end.failure === undefined; fed += chunkBytes) {
        assert.ok(fed < limit, 'it buffers more than the limit');
        const room = chunkBytes > limit ? chunkBytes : Math.min(chunkBytes, limit - fed);
        end.receive(Buffer.alloc(room, 2));
        if (fed + room < limit) assert.equal(end.failure, undefined);
      }
      assert.equal(end.failure.type, type);
      assert.equal(end.failure.error.code, 'ERR_HANDSHAKE_REJECTED');
    }
  });

  test(`a ${name} survives any bytes in any chunks and delivers none of them`, async () => {
    const chunkLists = fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(chunkLists, async (chunks) => {
        const end = new SessionEnd(name, await create());
        end.start();
        for (const chunk of chunks) {
          end.receive(chunk);
        }
        assert.equal(end.deliveredBytes.length, 0);
      }),
      { numRuns: 60, seed: 9 },
    );
  });
}

test('the magic is found behind the longest paddings', async () => {
  // Both paddings at their maximum: 4097 = the remainder of the drawn word by 4098.
  const word = Buffer.from([0, 0, 0x10, 0x01]);
  const script = [fromHex(connections[0]!.initiator.drawn)];
  for (let count = 0; count < 2; count += 1) script.push(word, Buffer.alloc(MAX_PADDING_BYTES, 7));
  const client = createClient(scriptedRng(Buffer.concat(script)));
  const pair = new SessionPair(client, await createServer(), {
    chunking: randomChunks(seededRng('longest'), 900),
  });
  pair.open().write(pair.client, Buffer.from('data'));
  assert.equal(pair.client.sent[0]!.length, HELLO_BYTES + MAX_PADDING_BYTES);
  assert.equal(pair.client.sent[1]!.length, MAX_PADDING_BYTES + MAGIC_BYTES + 4);
  assert.equal(pair.server.deliveredBytes.toString(), 'data');
});

test('a server publishes no arguments and drains a rejected peer for 30 seconds', async () => {
  const context = {
    rng: seededRng('server'),
    clock: systemClock,
    state: new MemoryState(),
    notify: () => {},
  };
  const server = await obfs3.server([], context);
  assert.deepEqual(server.clientArguments, []);
  assert.equal(server.rejectAfterMs, 30_000);
  await server.close();
});
