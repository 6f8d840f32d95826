import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { systemClock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { measureSettledMemory } from '../support/memory.ts';
import { SessionPair } from '../../src/transports/compliance/session-pair.ts';
import type { Session } from '../../src/transports/contract.ts';

const COUNT = 200;
const ROUNDS = 4;
/** What a session that has said little takes. A slice of Node's pool would be 8 KiB, or 64. */
const MAX_BYTES = 6_000;

for (const transport of builtinTransports) {
  const options: KeyValues =
    transport.name === 'webtunnel' ? [['url', 'http://bridge.example/secret']] : [];
  test(`${transport.name}: of a handshake that is done nothing stays in memory`, async () => {
    const context = { rng: systemRng, clock: systemClock, notify: assert.fail };
    const server = await transport.server(options, {
      ...context,
      state: new MemoryState(),
    });
    const createSession = transport.client(server.clientArguments, context);
    const connect = (): Session[] => {
      const pair = new SessionPair(createSession(), server.createSession()).open();
      pair.write(pair.client, Buffer.from('?'));
      pair.write(pair.server, Buffer.from('!'));
      assert.equal(pair.client.deliveredBytes.toString(), '!');
      assert.equal(pair.server.deliveredBytes.toString(), '?');
      return [pair.client.session, pair.server.session];
    };
    const sessions: Session[][] = [];
    // The compiler allocates when it likes: what a session needs is the least of several measurements, the
    // first of which also pays for what is made once.
    let bytes = Infinity;
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await measureSettledMemory();
      for (let number = 0; number < COUNT; number += 1) sessions.push(connect());
      bytes = Math.min(bytes, ((await measureSettledMemory()) - before) / (2 * COUNT));
    }
    assert.equal(sessions.length, ROUNDS * COUNT);
    assert.ok(bytes < MAX_BYTES, `${bytes} bytes for each session`);
    await server.close();
  });
}
