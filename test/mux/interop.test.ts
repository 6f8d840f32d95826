/** Our yamux and that of libp2p, which is also for Node, as each other's peer. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { describe, test, type TestContext } from 'node:test';
import { yamux } from '@chainsafe/libp2p-yamux';
import type { Endpoint } from '../../src/pt/address.ts';
import { unawaited } from '../../src/unawaited.ts';
import { dial, listen } from '../support/sockets.ts';
import { askYamuxEcho, payload, serveYamuxEcho, wholeLoad } from '../support/yamux-echo.ts';

type Muxer = ReturnType<ReturnType<ReturnType<typeof yamux>>['createStreamMuxer']>;

const silent = (): never => Object.assign(() => {}, { error() {}, trace() {} }) as never;
const createTheirs = yamux({ maxInboundStreams: 2000, maxOutboundStreams: 2000 })({
  logger: { forComponent: silent },
});

/** Makes a connection theirs. */
function theirs(socket: Duplex, direction: 'inbound' | 'outbound'): Muxer {
  const muxer = createTheirs.createStreamMuxer({
    direction,
    onIncomingStream: (stream) => unawaited(() => stream.sink(stream.source)),
  });
  unawaited(() => muxer.sink(chunksOf(socket)));
  unawaited(async () => {
    for await (const bytes of muxer.source) {
      if (!socket.write(bytes.subarray())) {
        await new Promise((resolve) => socket.once('drain', resolve));
      }
    }
    socket.end();
  });
  return muxer;
}

async function* chunksOf(socket: Duplex): AsyncGenerator<Buffer> {
  for await (const chunk of socket) yield chunk as Buffer;
}

async function serveTheirs(t: TestContext): Promise<Endpoint> {
  const { endpoint } = await listen(t, (socket) => void theirs(socket, 'inbound'));
  return endpoint;
}

async function askTheirs(server: Endpoint, load: typeof wholeLoad): Promise<void> {
  const muxer = theirs(await dial(server), 'outbound');
  const ask = async (index: number, byteCount: number): Promise<void> => {
    const { sent, expected } = payload(index, byteCount);
    const stream = await muxer.newStream();
    const sum = createHash('sha256');
    await Promise.all([
      stream.sink(sent),
      (async () => {
        for await (const bytes of stream.source) sum.update(bytes.subarray());
      })(),
    ]);
    assert.equal(sum.digest('hex'), expected, `stream ${index} brought something else back`);
  };
  await ask(0, load.bytes);
  await Promise.all(
    Array.from({ length: load.streams }, (_, index) => ask(index + 1, 1 + ((index * 7) % 4096))),
  );
  await muxer.close();
}

describe('yamux of libp2p', () => {
  test('64 MB and 1,000 streams, our client and their server', async (t) => {
    await askYamuxEcho(await serveTheirs(t), wholeLoad);
  });

  test('64 MB and 1,000 streams, their client and our server', async (t) => {
    await askTheirs(await serveYamuxEcho(t), wholeLoad);
  });
});
