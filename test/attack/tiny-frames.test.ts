/** Peers that send a byte in each frame, the rest padding, to a bridge and to a client, and good ones beside them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemRng } from '../../src/crypto/rng.ts';
import { startTransportServer, type RunningTransport } from '../../src/net/transport-server.ts';
import { buildEnvironment } from '../../src/pt/launch-environment.ts';
import { encodeSocksArguments } from '../../src/pt/socks-arguments.ts';
import { systemClock } from '../../src/time.ts';
import type { Transport } from '../../src/transports/contract.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { GoodClient } from '../support/good-client.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { startProbedServer } from '../support/probed-server.ts';
import { echo, socksConnect } from '../support/sockets.ts';

const HOSTILE = 10;
const FRAMES = 8_000;

/** What a connection that nobody reads may cost. */
const MOST_BYTES = 1 << 20;

/** `e` makes it an echo, anything else stops it. */
function serve(socket: Socket): void {
  socket.once('data', (first: Buffer) => {
    socket.write(first.subarray(0, 1));
    if (first[0] === 0x65) echo(socket);
    else socket.pause();
  });
}

/** Each byte goes out by itself, padded. */
async function sendTinyFrames(stream: Duplex, frames = FRAMES): Promise<void> {
  for (let frame = 0; frame < frames; frame += 1) {
    if (!stream.write('x')) await once(stream, 'drain');
    // The good client is in this process as well.
    if (frame % 50 === 0) await setImmediate();
  }
}

for (const [transport, what, firstByte] of [
  ['obfs4', 'an application that reads nothing', 's'],
  ['obfs4', 'an echo', 'e'],
  ['scramblesuit', 'an application that reads nothing', 's'],
] as const) {
  test(`${HOSTILE} ${transport} clients send ${FRAMES} frames of one byte each to ${what}: others are served, and it holds little`, async (t) => {
    const { process, connect } = await startProbedServer(t, serve, {}, transport);
    const good = await GoodClient.start(async () => (await connect('e')).stream);
    const before = await process.holdings();
    const hostile = await Promise.all(Array.from({ length: HOSTILE }, () => connect(firstByte)));
    let isOver = false;
    const attack = Promise.all(
      hostile.map(({ stream }) => {
        if (firstByte === 'e') stream.resume();
        return sendTinyFrames(stream);
      }),
    ).finally(() => (isOver = true));
    let served = 0;
    let mostMemory = 0;
    while (!isOver) {
      await good.serve();
      served += 1;
      if (served % 20 === 0) {
        mostMemory = Math.max(mostMemory, (await process.holdings()).memoryBytes);
      }
    }
    await attack;
    const during = await process.holdings();
    mostMemory = Math.max(mostMemory, during.memoryBytes);
    t.diagnostic(`${good.report()}; ${JSON.stringify({ before, during, mostMemory })}`);
    assert.ok(mostMemory < before.memoryBytes + HOSTILE * MOST_BYTES);
    for (const { wire } of hostile) wire.resetAndDestroy();
    t.diagnostic(JSON.stringify({ after: await process.comesBackTo(before, 4e6) }));
  });
}

for (const transport of ['obfs4', 'scramblesuit']) {
  test(`${HOSTILE} streams of hostile ${transport} bridges pour frames of one byte each at an application that reads nothing: another bridge’s stream goes on`, async (t) => {
    const server = builtinTransports.get(transport);
    let isOver = false;
    t.after(() => (isOver = true));
    const hostile = await startBridge(t, server, async (stream) => {
      while (!isOver && !stream.destroyed) await sendTinyFrames(stream, 1_000);
    });
    const friendly = await startBridge(t, server, async (stream) => void stream.pipe(stream));
    const env = buildEnvironment({
      role: 'client',
      stateLocation: temporaryDirectory(t),
      transports: [transport],
      outboundBind: {},
    });
    delete env['TOR_PT_EXIT_ON_STDIN_CLOSE'];
    const process = new ProbedProcess(t, [], { env });
    const proxy = await process.address(/^CMETHOD \S+ socks5 (\S+)$/);
    const connectTo = (bridge: RunningTransport): Promise<Duplex> =>
      socksConnect(
        proxy,
        bridge.endpoint,
        Buffer.from(encodeSocksArguments(bridge.clientArguments)).toString(),
      );
    const good = await GoodClient.start(() => connectTo(friendly));
    const before = await process.holdings();
    const stuck = await Promise.all(Array.from({ length: HOSTILE }, () => connectTo(hostile)));
    let mostMemory = 0;
    for (let served = 0; served < 60; served += 1) {
      await good.serve();
      if (served % 20 !== 0) continue;
      mostMemory = Math.max(mostMemory, (await process.holdings()).memoryBytes);
    }
    t.diagnostic(`${good.report()}; ${JSON.stringify({ before, mostMemory })}`);
    assert.ok(mostMemory < before.memoryBytes + HOSTILE * MOST_BYTES);
    isOver = true;
    for (const stream of stuck) stream.destroy();
    t.diagnostic(JSON.stringify({ after: await process.comesBackTo(before, 4e6) }));
  });
}

/** A bridge in this process, that does as it is told. */
async function startBridge(
  t: TestContext,
  transport: Transport,
  onConnection: (stream: Duplex) => Promise<void>,
): Promise<RunningTransport> {
  const bridge = await startTransportServer({
    transport,
    endpoint: { host: '127.0.0.1', port: 0 },
    context: { rng: systemRng, clock: systemClock, state: new MemoryState(), notify() {} },
    onConnection,
    // Whoever is cut off while it pours.
    onFault() {},
  });
  t.after(() => bridge.abort());
  return bridge;
}
