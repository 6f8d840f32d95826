import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemRng } from '../../src/crypto/rng.ts';
import { computeInTurns } from '../../src/net/computations.ts';
import { startTransportServer } from '../../src/net/transport-server.ts';
import { systemClock } from '../../src/time.ts';
import { obfs2 } from '../../src/transports/obfs2/index.ts';
import { throughTransport } from '../../src/net/through-transport.ts';
import { dial, readAll } from '../support/sockets.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';

test('computations have a bound for each turn of the event loop, however many there are', async (t) => {
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const order: number[] = [];
  for (let number = 0; number < 50; number += 1) {
    let steps = 0;
    computeInTurns(() => {
      nowMs += 1;
      steps += 1;
      if (steps === 4) order.push(number);
      return steps === 4;
    });
  }
  assert.equal(nowMs, 0, 'nothing is computed where it is asked for');
  while (order.length < 50) {
    const turnStartMs = nowMs;
    await setImmediate();
    assert.ok(nowMs - turnStartMs <= 4, `${nowMs - turnStartMs} ms in one turn`);
  }
  assert.deepEqual(
    order,
    Array.from({ length: 50 }, (_, number) => number),
  );
});

test('strangers who leave while keys are derived hold up nobody, and payload waits for its keys', async (t) => {
  const context = { rng: systemRng, clock: systemClock, state: new MemoryState() };
  const server = await startTransportServer({
    transport: obfs2,
    endpoint: { host: '127.0.0.1', port: 0 },
    options: [['shared-secret', 'rahasia']],
    context: { ...context, notify: assert.fail },
    onConnection: (stream) => void stream.pipe(stream),
  });
  t.after(() => server.abort());
  const strangers = Array.from({ length: 20 }, () => connect(server.endpoint.port, '127.0.0.1'));
  await Promise.all(strangers.map((socket) => once(socket, 'connect')));
  for (const socket of strangers) socket.destroy();
  const stream = await throughTransport(
    dial,
    obfs2.client(server.clientArguments, context),
  )(server.endpoint);
  const payload = Buffer.alloc(500_000, 'payload');
  stream.end(payload);
  assert.deepEqual(await readAll(stream), payload);
});
