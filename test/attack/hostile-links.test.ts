/** Peers that abuse a link, each at a running bridge: it loses its link, and nobody else anything. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { INITIAL_WINDOW_BYTES, FrameFlag, FrameType } from '../../src/mux/messages.ts';
import { encodeRequest5 } from '../../src/socks/encode.ts';
import { frame } from '../fuzz/frames.ts';
import { GoodClient } from '../support/good-client.ts';
import { ProbedBridge, type Targets, type Wire } from '../support/probed-bridge.ts';
import type { ProbedOptions } from '../support/probed-process.ts';

const { data, windowUpdate, ping } = FrameType;
const { syn, rst } = FrameFlag;
const EMPTY = Buffer.alloc(0);
const FOUR_GIB = 0xffff_ffff;
/** More than anybody may send for nothing. */
const MANY = 20_000;

/** What a hostile peer sends, and whether it reads. */
interface Attack {
  readonly send: (targets: Targets) => Iterable<Buffer>;
  readonly isDeaf?: boolean;
  readonly limits?: ProbedOptions['limits'];
}

function* many(frames: (id: number) => readonly Buffer[]): Iterable<Buffer> {
  for (let count = 0; count < MANY; count += 1) yield Buffer.concat(frames(1 + 2 * count));
}

const attacks: Readonly<Record<string, Attack>> = {
  'ignores a window': {
    *send({ sink }) {
      yield frame(data, syn, 1, encodeRequest5(sink));
      for (let sent = 0; sent < 8 * INITIAL_WINDOW_BYTES; sent += 16_384) {
        yield frame(data, 0, 1, Buffer.alloc(16_384));
      }
      yield frame(data, 0, 1, Buffer.alloc(64 * INITIAL_WINDOW_BYTES));
    },
  },
  'sends to a stream that never was': { send: () => [frame(data, 0, 7, Buffer.alloc(9))] },
  'opens a stream twice': { send: () => [frame(data, syn, 1), frame(data, syn, 1)] },
  'floods SYN': { send: () => many((id) => [frame(windowUpdate, syn, id)]) },
  'floods PING': { send: () => many(() => [frame(ping, syn, 0)]) },
  'floods PING and reads nothing': { send: () => many(() => [frame(ping, syn, 0)]), isDeaf: true },
  'floods window updates': {
    *send({ sink }) {
      yield frame(data, syn, 1, encodeRequest5(sink));
      yield* many(() => [frame(windowUpdate, 0, 1, EMPTY, 1)]);
    },
  },
  'floods empty frames': {
    *send({ sink }) {
      yield frame(data, syn, 1, encodeRequest5(sink));
      yield* many(() => [frame(data, 0, 1)]);
    },
  },
  'floods RST': {
    *send() {
      yield frame(windowUpdate, syn, 1);
      yield* many(() => [frame(windowUpdate, rst, 1)]);
    },
  },
  'opens and resets without end': {
    send: ({ echo }) =>
      many((id) => [frame(data, syn, id, encodeRequest5(echo)), frame(windowUpdate, rst, id)]),
  },
  'announces 4 GiB': {
    *send({ sink }) {
      yield frame(data, syn, 1, encodeRequest5(sink));
      yield frame(data, 0, 1, EMPTY, FOUR_GIB);
    },
  },
  'opens a window past 32 bits': {
    *send({ sink }) {
      yield frame(data, syn, 1, encodeRequest5(sink));
      yield frame(windowUpdate, 0, 1, EMPTY, FOUR_GIB);
    },
  },
  'sends half a header and waits': {
    send: () => [frame(ping, syn, 0).subarray(0, 5)],
    limits: { muxHeaderMs: 500 },
  },
  'never sends the request': {
    send: () => [frame(data, syn, 1, Buffer.of(5, 1))],
    limits: { socksRequestTimeoutMs: 500 },
  },
};

/** Resolves when the bridge has ended the link. */
async function launch({ stream }: Wire, bytes: Iterable<Buffer>, isDeaf: boolean): Promise<void> {
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      hasEnded = true;
      resolve();
    };
    stream
      .on('error', () => {})
      .once('end', end)
      .once('close', end);
  });
  if (!isDeaf) stream.resume();
  for (const piece of bytes) {
    if (hasEnded) break;
    if (!stream.write(piece)) {
      await Promise.race([new Promise((resolve) => stream.once('drain', resolve)), ended]);
    }
  }
  // Who never reads sees no end.
  stream.resume();
  await ended;
  stream.destroy();
}

describe('a peer loses its link, and a good client beside it is served the whole time, when it', () => {
  const cleanups: (() => void | Promise<void>)[] = [];
  after(async () => {
    for (const cleanUp of cleanups) await cleanUp();
  });
  const start = (options: ProbedOptions): Promise<ProbedBridge> =>
    ProbedBridge.start({ after: (cleanUp) => void cleanups.push(cleanUp) }, options);
  let patient: Promise<ProbedBridge> | undefined;

  for (const [name, { send, isDeaf = false, limits }] of Object.entries(attacks)) {
    test(name, async (t) => {
      const bridge = await (limits === undefined ? (patient ??= start({})) : start({ limits }));
      const good = await GoodClient.start(() => bridge.openEcho());
      const before = await bridge.process.holdings();
      const attack = launch(await bridge.connect('ORPort'), send(bridge.targets), isDeaf);
      await good.serveDuring(attack);
      const during = await bridge.process.holdings();
      await good.serve();
      const after = await bridge.process.comesBackTo(before, SLACK_BYTES);
      t.diagnostic(`${good.report()}; ${JSON.stringify({ before, during, after })}`);
      assert.ok(after.logBytes - before.logBytes < LOG_BYTES);
      good.close();
    });
  }
});

test('a peer that reads nothing makes a bridge hold no more than its budget', async (t) => {
  const bridge = await ProbedBridge.start(t);
  const good = await GoodClient.start(() => bridge.openEcho());
  const before = await bridge.process.holdings();
  const { stream } = await bridge.connect('ORPort');
  stream.on('error', () => {}).pause();
  for (let id = 1; id < 200; id += 2) {
    stream.write(frame(data, syn, id, encodeRequest5(bridge.targets.source)));
    // However much it says that it would take.
    stream.write(frame(windowUpdate, 0, id, EMPTY, 1 << 30));
  }
  let during = before;
  for (let round = 0; round < 10; round += 1) {
    await good.serve();
    during = await bridge.process.holdings();
    const { memoryBytes } = during;
    assert.ok(memoryBytes - before.memoryBytes < UNREAD_BYTES, `${memoryBytes} bytes held`);
  }
  stream.destroy();
  const after = await bridge.process.comesBackTo(before, SLACK_BYTES);
  t.diagnostic(`${good.report()}; ${JSON.stringify({ before, during, after })}`);
});

for (const way of ['ORPort', 'obfs4']) {
  test(`ten links on ${way} whose frames carry a byte each cost a good client little, and leave nothing`, async (t) => {
    const bridge = await ProbedBridge.start(t);
    const good = await GoodClient.start(() => bridge.openEcho(way));
    const before = await bridge.process.holdings();
    const request = encodeRequest5(bridge.targets.echo);
    const tiny = frame(data, 0, 1, Buffer.of(0));
    const attack = async (): Promise<void> => {
      const { stream } = await bridge.connect(way);
      // All at once: it is the bridge that has the work.
      stream.write(Buffer.concat([frame(data, syn, 1, request), ...Array(MANY).fill(tiny)]));
      // The echo has sent back as much: all has been worked off.
      let bytes = 0;
      for await (const chunk of stream) {
        bytes += (chunk as Buffer).length;
        if (bytes >= MANY) break;
      }
      stream.destroy();
    };
    await good.serveDuring(Promise.all(Array.from({ length: 10 }, attack)));
    const during = await bridge.process.holdings();
    const after = await bridge.process.comesBackTo(before, SLACK_BYTES);
    t.diagnostic(`${good.report()}; ${JSON.stringify({ before, during, after })}`);
  });
}

const SLACK_BYTES = 8 * 1024 * 1024;
/** A few lines. */
const LOG_BYTES = 4096;
/** A hundred streams, each with as much as a relay takes at once and a buffer on its way. */
const UNREAD_BYTES = 64 * 1024 * 1024;
