/** Thousands of connections through both ends of a transport, with every pause, end and break there is. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import { peerBytes } from '../../src/net/peer-bytes.ts';
import { relay } from '../../src/net/relay.ts';
import { startTransportServer } from '../../src/net/transport-server.ts';
import { throughTransport } from '../../src/net/transport-stream.ts';
import { systemClock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { Dice } from '../fuzz/dice.ts';
import { converse } from '../soak/conversation.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { dial, listen, readBytes } from '../support/sockets.ts';

const PATIENCE_MS = 120_000;
const AT_A_TIME = 20;

for (const [name, count] of [
  ['obfs3', 700],
  ['obfs4', 700],
  ['scramblesuit', 200],
] as const) {
  test(`${name}: ${count} conversations through two relays are whole, or broken for both`, async (t) => {
    const before = peerBytes.heldBytes;
    const connect = await bothEnds(t, name);
    const seed = `${name} ${process.env['POSTERN_SEED'] ?? '1'}`;
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
        ).catch((error: Error) => assert.fail(`${number}: ${error.message}`));
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, some));
    while (peerBytes.heldBytes !== before) await new Promise(setImmediate);
  });
}

/** @returns makes a connection over a client and a server, and gives its two ends */
async function bothEnds(
  t: TestContext,
  name: string,
): Promise<(number: number) => Promise<[near: Socket, far: Socket]>> {
  const transport = builtinTransports.get(name);
  const environment = { rng: systemRng, clock: systemClock };
  const waiting = new Map<number, (far: Socket) => void>();
  const target = await listen(t, async (socket) => {
    const head = await readBytes(socket, 4);
    waiting.get(head.readUInt32BE())!(socket);
  });
  const server = await startTransportServer({
    transport,
    endpoint: { host: '127.0.0.1', port: 0 },
    options: name === 'scramblesuit' ? [['password', 'A'.repeat(32)]] : [],
    environment: { ...environment, state: new MemoryState(), notify: () => {} },
    onConnection: async (stream) => relay(stream, await dial(target.endpoint)),
  });
  t.after(() => {
    server.abort();
    return server.closed;
  });
  const through = throughTransport(dial, transport.client(server.clientArguments, environment));
  const client = await listen(t, async (socket) => {
    await relay(socket, await through(server.endpoint));
  });
  return async (number) => {
    const far = new Promise<Socket>((resolve) => void waiting.set(number, resolve));
    const near = (await dial(client.endpoint)) as Socket;
    const head = Buffer.alloc(4);
    head.writeUInt32BE(number);
    near.write(head);
    return [near, await far];
  };
}
