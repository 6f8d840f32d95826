/** What once ended a bridge, or made streams wait for ever, against the program as it runs. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { limits } from '../../src/limits.ts';
import { FrameFlag, FrameType, INITIAL_WINDOW_BYTES } from '../../src/mux/messages.ts';
import { formatEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { encodeRequest5 } from '../../src/socks/encode.ts';
import { frame } from '../fuzz/frames.ts';
import { DaemonProcess } from '../support/daemon-process.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { checkStream, ProbedBridge } from '../support/probed-bridge.ts';
import { listen, readBytes, socksConnect } from '../support/sockets.ts';

const ROUNDS = 20;
const CLIENTS = Number(process.env['POSTERN_CLIENTS'] ?? 6);
/** What code that has become hot, and buffers that are kept for the next, may take. */
const SLACK_BYTES = 8 * 1024 * 1024;
const STREAMS = Number(process.env['POSTERN_STREAMS'] ?? 1300);

/** A client daemon of a bridge. */
async function startClient(t: TestContext, bridge: Endpoint): Promise<DaemonProcess> {
  const directory = temporaryDirectory(t);
  const torrc = join(directory, 'torrc');
  writeFileSync(
    torrc,
    `DataDirectory ${directory}\nSocksPort auto\nUseBridges 1\nBridge ${formatEndpoint(bridge)}\n`,
  );
  return new DaemonProcess(t, torrc);
}

for (const way of ['ORPort', 'ExtORPort', 'obfs4']) {
  describe(`a bridge on ${way} lives and serves when`, () => {
    test('a bad request and its RST come in one piece', async (t) => {
      const bridge = await ProbedBridge.start(t);
      for (const bad of [Buffer.of(4), Buffer.of(5, 2), Buffer.of(5, 1, 0, 9), Buffer.alloc(0)]) {
        for (let round = 0; round < ROUNDS; round += 1) {
          const { stream, socket } = await bridge.connect(way);
          stream.write(
            Buffer.concat([
              frame(FrameType.data, FrameFlag.syn, 1, bad),
              frame(FrameType.windowUpdate, FrameFlag.rst, 1),
              frame(FrameType.ping, FrameFlag.syn, 0),
            ]),
          );
          await readBytes(stream, 1); // It has answered something behind it.
          socket.destroy();
        }
      }
      await bridge.serveOne(way);
      bridge.process.assertAlive();
    });

    test('a client asks for a refused port, and its FIN follows at once', async (t) => {
      const bridge = await ProbedBridge.start(t);
      const request = encodeRequest5(bridge.targets.refused);
      for (let round = 0; round < ROUNDS; round += 1) {
        const { stream, socket } = await bridge.connect(way);
        stream.on('error', () => {}).resume();
        stream.end(frame(FrameType.data, FrameFlag.syn, 1, request));
        await new Promise((resolve) => socket.once('close', resolve));
      }
      await bridge.serveOne(way);
      bridge.process.assertAlive();
    });
  });
}

test('a FIN and a RST close behind it, while the target sends without end, leave nothing', async (t) => {
  const bridge = await ProbedBridge.start(t);
  await bridge.serveOne();
  const before = await bridge.process.holdings();
  const { stream, socket } = await bridge.connect('ORPort');
  const request = encodeRequest5(bridge.targets.source);
  const ids = Array.from({ length: ROUNDS }, (_, index) => 1 + 2 * index);
  for (const id of ids) stream.write(frame(FrameType.data, FrameFlag.syn, id, request));
  // All of them are answered, and pour.
  await readBytes(stream, ROUNDS * INITIAL_WINDOW_BYTES);
  stream.on('error', () => {}).resume();
  // For a stream that is gone. A read takes 64 KiB: the RST comes in the next one, before the system has carried the FIN out.
  const filler = frame(FrameType.data, 0, ids.at(-1)! + 2, Buffer.alloc(65_536));
  const end = frame(FrameType.windowUpdate, FrameFlag.rst, ids.at(-1)! + 2);
  stream.write(Buffer.concat([frame(FrameType.windowUpdate, FrameFlag.syn, ids.at(-1)! + 2), end]));
  for (const id of ids) {
    const [fin, rst] = [FrameFlag.fin, FrameFlag.rst].map((flag) =>
      frame(FrameType.windowUpdate, flag, id),
    );
    stream.write(Buffer.concat([fin!, filler, rst!]));
  }
  await bridge.process.comesBackTo({ ...before, files: before.files + 1 }, SLACK_BYTES);
  socket.destroy();
  await bridge.process.comesBackTo(before, SLACK_BYTES);
});

test(`${CLIENTS} client daemons stop while 30 streams of each are being refused`, async (t) => {
  const bridge = await ProbedBridge.start(t);
  for (let count = 0; count < CLIENTS; count += 1) {
    const way = (['SIGTERM', 'SIGKILL', 'RST'] as const)[count % 3]!;
    const { endpoint, links } = await relayTo(t, bridge.orPort);
    const client = await startClient(t, endpoint);
    const socks = await client.address(/SocksPort (\S+) is open/);
    const asked = Array.from({ length: 30 }, () =>
      socksConnect(socks, bridge.targets.refused).catch(() => {}),
    );
    // The first refusal is there: the others are on their way.
    await Promise.race(asked);
    if (way === 'RST') for (const link of links) link.resetAndDestroy();
    client.process.kill(way === 'RST' ? 'SIGKILL' : way);
    await client.ended;
    await Promise.all(asked);
    bridge.process.assertAlive();
  }
  await bridge.serveOne();
});

test(`${STREAMS} streams at once through one client: all are served, over as many links as it takes`, async (t) => {
  const bridge = await ProbedBridge.start(t);
  const { endpoint, links } = await relayTo(t, bridge.orPort);
  const client = await startClient(t, endpoint);
  const socks = await client.address(/SocksPort (\S+) is open/);
  const streams = await Promise.all(
    Array.from({ length: STREAMS }, () => socksConnect(socks, bridge.targets.echo)),
  );
  assert.equal(links.length, Math.ceil(STREAMS / limits.linkStreams));
  await Promise.all(streams.map((stream) => checkStream(stream)));
});

/** What passes links on to a bridge, so that they can be counted and cut. */
async function relayTo(
  t: TestContext,
  bridge: Endpoint,
): Promise<{ readonly endpoint: Endpoint; readonly links: readonly Socket[] }> {
  const links: Socket[] = [];
  const { endpoint } = await listen(t, (socket) => {
    const onward = connect({ ...bridge, allowHalfOpen: true });
    onward.on('error', () => {}).on('close', () => socket.destroy());
    socket.on('close', () => onward.resetAndDestroy());
    socket.pipe(onward).pipe(socket);
    links.push(onward);
  });
  return { endpoint, links };
}
