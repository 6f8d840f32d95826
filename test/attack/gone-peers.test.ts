/** Clients that go without a proper end while nobody reads from them, and a good client beside them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { buildEnvironment } from '../../src/pt/launch-environment.ts';
import { parseSmethodArgs } from '../../src/pt/smethod-args.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { openTransportStream } from '../../src/net/transport-stream.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { systemClock } from '../../src/time.ts';
import type { LimitName } from '../../src/limits.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { dial, listen, readBytes } from '../support/sockets.ts';

interface Client {
  readonly stream: Duplex;
  readonly wire: Socket;
}

/** A managed proxy that serves obfs4 before a target which echoes one byte, then neither reads nor ends. */
async function startBridge(t: TestContext, limits: Partial<Record<LimitName, number>> = {}) {
  const target = await listen(t, (socket) => {
    socket.once('data', (bytes: Buffer) => {
      socket.pause().write(bytes.subarray(0, 1));
    });
  });
  const env = buildEnvironment({
    role: 'server',
    stateLocation: temporaryDirectory(t),
    orPort: target.endpoint,
    transports: [{ name: 'obfs4', bindAddress: { host: '127.0.0.1', port: 0 }, options: [] }],
  });
  // Its parent holds nothing that could end.
  delete env['TOR_PT_EXIT_ON_STDIN_CLOSE'];
  const process = new ProbedProcess(t, [], { env, limits });
  const [, address, args] = await process.line(/^SMETHOD obfs4 (\S+) ARGS:(\S+)$/);
  const transport = builtinTransports.get('obfs4');
  const environment = { rng: systemRng, clock: systemClock };
  const endpoint = parseIpEndpoint(address!)!;
  const connect = async (): Promise<Client> => {
    const session = transport.client(parseSmethodArgs(args!), environment)(endpoint);
    const wire = (await dial(endpoint)) as Socket;
    t.after(() => void wire.destroy());
    const stream = await openTransportStream(wire, session);
    stream.write('x');
    await readBytes(stream, 1);
    return { stream, wire };
  };
  return { process, connect };
}

const COUNT = 50;

test('resets that nobody reads of are noticed: behind an end, and behind bytes that nobody takes', async (t) => {
  const { process, connect } = await startBridge(t);
  (await connect()).wire.resetAndDestroy();
  const before = await process.holdings();
  const clients = await Promise.all(Array.from({ length: COUNT }, connect));
  for (const [index, { stream, wire }] of clients.entries()) {
    if (index % 2 === 0) {
      // More than all buffers on the way take.
      for (let sent = 0; sent < 16 << 20; sent += 1 << 20) stream.write(Buffer.alloc(1 << 20));
      await waitUntilStuck(wire);
    } else {
      stream.end();
      await once(wire, 'finish');
    }
  }
  const during = await process.holdings();
  t.diagnostic(JSON.stringify({ before, during }));
  assert.ok(during.files >= before.files + 2 * COUNT, 'all stand');
  for (const { wire } of clients) wire.resetAndDestroy();
  const good = await connect();
  good.wire.resetAndDestroy();
  t.diagnostic(JSON.stringify({ after: await process.comesBackTo(before, 8e6) }));
});

test('connections that are half closed and move nothing end, however long the target stays', async (t) => {
  const { process, connect } = await startBridge(t, { halfClosedMs: 2_000 });
  (await connect()).wire.resetAndDestroy();
  const before = await process.holdings();
  const clients = await Promise.all(Array.from({ length: COUNT }, connect));
  const closed = clients.map(({ wire }) => once(wire, 'close'));
  for (const { stream } of clients) stream.resume().end();
  await Promise.all(closed);
  t.diagnostic(JSON.stringify({ after: await process.comesBackTo(before, 8e6) }));
});

/** Resolves when nothing leaves any more. */
async function waitUntilStuck(wire: Socket): Promise<void> {
  for (let before = -1; before !== wire.bytesWritten - wire.writableLength;) {
    before = wire.bytesWritten - wire.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
