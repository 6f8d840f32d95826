import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { randomBytes } from '../../../src/crypto/rng.ts';
import { PosternError } from '../../../src/errors.ts';
import type { Action, Session } from '../../../src/transports/contract.ts';
import { obfs2 } from '../../../src/transports/obfs2/index.ts';
import { computeAll, feed, feedings, sentBytes } from '../../support/feed.ts';
import { MemoryState } from '../../../src/transports/memory-state.ts';
import { holds } from '../../support/properties.ts';
import { seededRng } from '../../support/rng.ts';

const clock = { epochMs: () => 0 };

function clientSession(seed: string, secret?: string): Session {
  const args = secret === undefined ? [] : [['shared-secret', secret] as const];
  return obfs2.client(args, { rng: seededRng(seed), clock })();
}

async function serverSession(seed: string, secret?: string): Promise<Session> {
  const options = secret === undefined ? [] : [['shared-secret', secret] as const];
  const context = { rng: seededRng(seed), clock, state: new MemoryState(), notify: () => {} };
  return (await obfs2.server(options, context)).createSession();
}

/** What the specification says, step by step: the stream of a label over seeds. */
function referenceStream(label: string, seeds: Buffer, secret?: string): (b: Buffer) => Buffer {
  const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
  const s = Buffer.from(label);
  let mac: Buffer;
  if (secret === undefined) mac = sha256(Buffer.concat([s, seeds, s]));
  else {
    mac = Buffer.concat([s, seeds, sha256(Buffer.from(secret)), s]);
    for (let n = 0; n < 100_000; n += 1) mac = sha256(mac);
  }
  const cipher = createCipheriv('aes-128-ctr', mac.subarray(0, 16), mac.subarray(16));
  return (bytes) => cipher.update(bytes);
}

/** A header as the specification has it. */
function referenceHeader(
  role: string,
  seed: Buffer,
  paddingBytes: number,
  secret?: string,
): Buffer {
  const plain = Buffer.alloc(8 + paddingBytes, 0x5a);
  plain.writeUInt32BE(0x2bf5ca7e, 0);
  plain.writeUInt32BE(paddingBytes, 4);
  return Buffer.concat([seed, referenceStream(`${role} obfuscation padding`, seed, secret)(plain)]);
}

function delivered(actions: readonly Action[]): string {
  return Buffer.concat(
    actions.flatMap((action) => (action.type === 'deliver' ? [action.bytes] : [])),
  ).toString();
}

describe('obfs2', () => {
  for (const secret of [undefined, 'rahasia']) {
    test(`follows the specification byte for byte, ${secret === undefined ? 'without' : 'with'} a shared secret`, () => {
      const session = clientSession('known', secret);
      const greeting = sentBytes(computeAll(session.start()));
      const seed = greeting.subarray(0, 16);
      const header = referenceStream(
        'Initiator obfuscation padding',
        seed,
        secret,
      )(greeting.subarray(16));
      assert.equal(header.readUInt32BE(0), 0x2bf5ca7e);
      assert.equal(header.readUInt32BE(4), header.length - 8);

      const peerSeed = Buffer.alloc(16, 9);
      const both = Buffer.concat([seed, peerSeed]);
      const toClient = referenceStream('Responder obfuscated data', both, secret);
      const bytes = Buffer.concat([
        referenceHeader('Responder', peerSeed, 5, secret),
        toClient(Buffer.from('hello')),
      ]);
      const actions = computeAll(session.receive(bytes));
      assert.deepEqual(
        actions.map(({ type }) => type),
        ['clearTimer', 'established', 'deliver'],
      );
      assert.equal(delivered(actions), 'hello');
      assert.deepEqual(
        sentBytes(session.write(Buffer.from('answer'))),
        referenceStream('Initiator obfuscated data', both, secret)(Buffer.from('answer')),
      );
    });
  }

  test('both ends understand each other however the bytes are cut', async () => {
    const makeServer = (): Promise<Session> => serverSession('pair');
    const client = clientSession('pair c');
    const fromClient = sentBytes(client.start());
    const server = await makeServer();
    const fromServer = sentBytes(server.start());
    client.receive(fromServer);
    const wire = Buffer.concat([fromClient, sentBytes(client.write(Buffer.from('payload')))]);
    const head = 40;
    for (const chunks of feedings(wire.subarray(0, head))) {
      const again = await makeServer();
      again.start();
      const { actions } = feed((chunk) => again.receive(chunk), chunks, []);
      actions.push(...again.receive(wire.subarray(head)));
      assert.deepEqual(
        actions.map(({ type }) => type).filter((type) => type !== 'deliver'),
        ['clearTimer', 'established'],
      );
      assert.equal(delivered(actions), 'payload');
    }
  });

  test('padding of 0 and of 8192 bytes is taken, and of 8193 refused', async () => {
    for (const [paddingBytes, type] of [
      [0, 'established'],
      [8192, 'established'],
      [8193, 'rejected'],
    ] as const) {
      const server = await serverSession('padding');
      server.start();
      const header = referenceHeader('Initiator', Buffer.alloc(16, 1), paddingBytes);
      assert.equal(server.receive(header).at(-1)?.type, type, `${paddingBytes}`);
    }
  });

  test('a wrong magic value fails a client and is rejected in silence by a server', async () => {
    const noise = randomBytes(seededRng('noise'), 24);
    const server = await serverSession('magic');
    server.start();
    assert.deepEqual(
      server.receive(noise).map(({ type }) => type),
      ['rejected'],
    );
    const client = clientSession('magic');
    client.start();
    const [failed] = client.receive(noise);
    assert.ok(failed?.type === 'failed' && failed.error.code === 'ERR_HANDSHAKE_REJECTED');
  });

  test('another shared secret, or none, does not connect', async () => {
    const server = await serverSession('secret', 'one');
    computeAll(server.start());
    const header = sentBytes(computeAll(clientSession('secret c', 'two').start()));
    assert.equal(computeAll(server.receive(header)).at(-1)?.type, 'rejected');
  });

  test('time runs out after 30 seconds, and an early end fails', async () => {
    const client = clientSession('time');
    assert.ok(client.start().some((a) => a.type === 'setTimer' && a.delayMs === 30_000));
    const [timedOut] = client.timerFired();
    assert.ok(timedOut?.type === 'failed' && timedOut.error.code === 'ERR_HANDSHAKE_TIMED_OUT');
    const server = await serverSession('time');
    server.start();
    const [closed] = server.receiveEnd();
    assert.ok(closed?.type === 'failed' && closed.error.code === 'ERR_HANDSHAKE_CLOSED');
    assert.equal((await serverSession('time')).timerFired()[0]?.type, 'rejected');
  });

  test('the ends of both directions pass through', () => {
    const client = clientSession('ends');
    client.start();
    client.receive(referenceHeader('Responder', Buffer.alloc(16, 2), 0));
    assert.deepEqual(client.receiveEnd(), [{ type: 'deliverEnd' }]);
    assert.deepEqual(client.writeEnd(), [{ type: 'sendEnd' }]);
  });

  test('no bytes make a session throw, and none that are not a header establish it', async () => {
    const server = await serverSession('fuzz server');
    server.start();
    holds(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }), (chunks) => {
        const session = clientSession('fuzz');
        session.start();
        const { actions } = feed((chunk) => session.receive(chunk), chunks, ['failed']);
        assert.ok(actions.every(({ type }) => type === 'failed'));
      }),
    );
  });

  test('`shared-secret` must not be empty; a server publishes it; a warning says what obfs2 hides', async () => {
    const empty = [['shared-secret', '']] as const;
    const isArgumentError = (error: unknown): boolean =>
      error instanceof PosternError && error.code === 'ERR_TRANSPORT_ARGUMENT';
    const context = { rng: seededRng(1), clock, state: new MemoryState(), notify: () => {} };
    assert.throws(() => obfs2.client(empty, context), isArgumentError);
    await assert.rejects(() => obfs2.server(empty, context), isArgumentError);
    const options = [['shared-secret', 'rahasia']] as const;
    assert.deepEqual((await obfs2.server(options, context)).clientArguments, options);
    assert.deepEqual((await obfs2.server([], context)).clientArguments, []);
    assert.match(obfs2.warning ?? '', /censor/);
  });
});
