import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { buildRoot } from '../../scripts/paths.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { limits } from '../../src/limits.ts';
import { discardUntilClosed, rejectedConnections } from '../../src/net/rejected.ts';
import { startTransportServer } from '../../src/net/transport-server.ts';
import { systemClock } from '../../src/time.ts';
import { obfs4 } from '../../src/transports/obfs4/index.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { measureSettledMemory } from '../support/memory.ts';
import { socketPair } from '../support/sockets.ts';

const STRANGERS = join(buildRoot, 'test', 'support', 'strangers.js');

/** An obfs4 server, and a way to let so many strangers fail their handshake with it. */
async function startServer(t: TestContext): Promise<(count: number) => Promise<void>> {
  let failed = 0;
  let onFailed = (): void => {};
  const server = await startTransportServer({
    transport: obfs4,
    endpoint: { host: '127.0.0.1', port: 0 },
    context: {
      rng: systemRng,
      clock: systemClock,
      state: new MemoryState(),
      notify: (notice) => assert.fail(notice),
    },
    onConnection: () => assert.fail('a stranger was let in'),
    onFailedHandshake() {
      failed += 1;
      onFailed();
    },
  });
  t.after(() => server.abort());
  return async (count) => {
    const enough = new Promise<void>((resolve) => {
      const goal = failed + count;
      onFailed = () => failed === goal && resolve();
    });
    const args = [STRANGERS, String(server.endpoint.port), String(count)];
    const strangers = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    t.after(() => strangers.kill('SIGKILL'));
    await enough;
  };
}

test('a rejected stranger costs less than 4 kB', async (t) => {
  const reject = await startServer(t);
  const COUNT = 400;
  // What is made once, and what the compiler needs.
  await reject(COUNT);
  const before = await measureSettledMemory();
  const rejectedBefore = rejectedConnections();
  await reject(COUNT);
  assert.equal(rejectedConnections() - rejectedBefore, COUNT);
  const bytes = ((await measureSettledMemory()) - before) / COUNT;
  assert.ok(bytes < 4096, `${bytes} bytes for each`);
});

test('past the cap on rejected connections the oldest is closed, and those that close are forgotten', async (t) => {
  while (rejectedConnections() > 0) await setImmediate();
  const wires = Array.from({ length: limits.rejectedConnections + 2 }, () => new PassThrough());
  t.after(() => wires.forEach((wire) => wire.destroy()));
  for (const wire of wires) discardUntilClosed(wire, 60_000);
  assert.equal(rejectedConnections(), limits.rejectedConnections);
  assert.deepEqual(
    wires.slice(0, 3).map(({ destroyed }) => destroyed),
    [true, true, false],
  );
  const last = wires.at(-1)!;
  last.destroy();
  await once(last, 'close');
  assert.equal(rejectedConnections(), limits.rejectedConnections - 1);
});

test('what a rejected stranger pours takes no memory of its own', async (t) => {
  const [near, far] = await socketPair(t);
  // Discarded as well, but made for it.
  far.on('data', () => assert.fail('a buffer for each read'));
  discardUntilClosed(far, 60_000);
  near.end(Buffer.alloc(1 << 20));
  await once(near.resume(), 'close');
  assert.equal(far.bytesRead, 1 << 20);
});
