/** Thousands of connections through both ends of a transport, with every pause, end and break there is. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import { peerBytes } from '../../src/net/peer-bytes.ts';
import { relay } from '../../src/net/relay.ts';
import { startTransportServer } from '../../src/net/transport-server.ts';
import { throughTransport } from '../../src/net/through-transport.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { systemClock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { unawaited } from '../../src/unawaited.ts';
import { Dice } from '../fuzz/dice.ts';
import { converse } from '../soak/conversation.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { dial, listen, readAll, readBytes } from '../support/sockets.ts';

const PATIENCE_MS = 120_000;
const AT_A_TIME = 20;

const ways: readonly { transport: string; options?: KeyValues; count: number; most?: number }[] = [
  { transport: 'obfs3', count: 700 },
  { transport: 'obfs4', count: 700 },
  // It paces what it sends, so that the session holds some when the end comes.
  { transport: 'obfs4', options: [['iat-mode', '1']], count: 100, most: 10_000 },
  { transport: 'scramblesuit', options: [['password', 'A'.repeat(32)]], count: 200 },
];

for (const { transport, options = [], count, most } of ways) {
  const what = [transport, ...options.map(([key]) => key)].join(' ');
  test(`${what}: ${count} conversations through two relays are whole, or broken for both`, async (t) => {
    const before = peerBytes.heldBytes;
    const connect = await bothEnds(t, transport, options);
    const seed = `${what} ${process.env['POSTERN_SEED'] ?? '1'}`;
    const dice = new Dice(seed);
    let begun = 0;
    const some = async (): Promise<void> => {
      while (begun < count) {
        begun += 1;
        const number = begun;
        const [near, far] = await connect(number);
        await converse(
          near,
          far,
          new Dice(`${seed} ${number} ${dice.below(1e6)}`),
          PATIENCE_MS,
          most,
        ).catch((error: Error) => assert.fail(`${number}: ${error.message}`));
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, some));
    while (peerBytes.heldBytes !== before) await new Promise(setImmediate);
  });
}

test('what an application said, and that it ended, before there was a connection arrives whole', async (t) => {
  for (const options of [[], [['iat-mode', '1']]] as const) {
    const connect = await bothEnds(t, 'obfs4', options);
    const words = Buffer.alloc(9000, 'all that there is to say, ');
    const [near, far] = await connect(1, words);
    assert.deepEqual(await readAll(far), words);
    far.end();
    assert.equal((await readAll(near)).length, 0);
  }
});

/** @returns makes a connection over a client and a server, on which the near end may have said all, and gives its two ends */
async function bothEnds(
  t: TestContext,
  name: string,
  options: KeyValues,
): Promise<(number: number, words?: Buffer) => Promise<[near: Socket, far: Socket]>> {
  const transport = builtinTransports.get(name);
  const context = { rng: systemRng, clock: systemClock };
  const waiting = new Map<number, (far: Socket) => void>();
  const target = await listen(t, (socket) =>
    unawaited(async () => {
      const head = await readBytes(socket, 4);
      waiting.get(head.readUInt32BE())!(socket);
    }),
  );
  const server = await startTransportServer({
    transport,
    endpoint: { host: '127.0.0.1', port: 0 },
    options,
    context: { ...context, state: new MemoryState(), notify: () => {} },
    onConnection: async (stream) => relay(stream, await dial(target.endpoint)),
  });
  t.after(() => {
    server.abort();
    return server.closed;
  });
  const through = throughTransport(dial, transport.client(server.clientArguments, context));
  const client = await listen(t, (socket) =>
    unawaited(async () => relay(socket, await through(server.endpoint))),
  );
  return async (number, words) => {
    const far = new Promise<Socket>((resolve) => void waiting.set(number, resolve));
    const near = (await dial(client.endpoint)) as Socket;
    const head = Buffer.alloc(4);
    head.writeUInt32BE(number);
    if (words === undefined) near.write(head);
    else near.end(Buffer.concat([head, words]));
    return [near, await far];
  };
}
