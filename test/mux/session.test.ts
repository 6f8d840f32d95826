/** The session machine: known frames in and out, windows, turns, and peers that break the rules. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { limits } from '../../src/limits.ts';
import type { MuxAction } from '../../src/mux/actions.ts';
import type { MuxStreamState } from '../../src/mux/stream-state.ts';
import { frame, framesOf, SessionUnderTest } from '../support/mux.ts';

const KIB = 1024;
const data = (id: number, body: string | Buffer, flags = 0): Buffer =>
  frame(0, flags, id, { body });
const types = (actions: readonly MuxAction[]): string[] => actions.map(({ type }) => type);

function failure(actions: readonly MuxAction[]): string | undefined {
  const last = actions.at(-1);
  return last?.type === 'failed' ? last.error.code : undefined;
}

describe('a stream', () => {
  test('begins with a SYN, carries data, and ends each direction by itself', () => {
    const client = new SessionUnderTest('client');
    const stream = client.session.open();
    client.session.write(stream, Buffer.from('hello'));
    client.session.end(stream);
    assert.deepEqual(client.sent(), { frames: ['1 1 1 0', '0 0 1 5', '1 4 1 0'], written: [1, 1] });
    assert.deepEqual(types(client.feed(frame(1, 2, 1))), ['acked']);
    assert.deepEqual(types(client.feed(data(1, 'answer'), data(1, '', 4))), ['deliver', 'end']);
    assert.equal(client.session.streamCount, 0);
    assert.deepEqual(client.sent().frames, []);
  });

  test('of the peer is taken with an ACK; SYN may stand on data as on a window update', () => {
    for (const opening of [frame(1, 1, 1), data(1, 'x', 1)]) {
      const server = new SessionUnderTest('server');
      assert.equal(server.feed(opening)[0]?.type, 'opened');
      assert.deepEqual(server.sent().frames, ['1 2 1 0']);
    }
  });

  test('has numbers of its own at each end, which grow', () => {
    const client = new SessionUnderTest('client');
    const server = new SessionUnderTest('server');
    assert.deepEqual([client.session.open().id, client.session.open().id], [1, 3]);
    assert.deepEqual([server.session.open().id, server.session.open().id], [2, 4]);
  });

  test('that is closed before anything was sent leaves no trace', () => {
    const client = new SessionUnderTest('client');
    client.session.close(client.session.open());
    assert.deepEqual(client.sent().frames, []);
  });

  test('that is closed early is reset; what comes for it afterwards is ignored', () => {
    const server = new SessionUnderTest('server');
    server.session.close(server.accept(1));
    assert.deepEqual(server.sent().frames, ['1 8 1 0']);
    assert.deepEqual(server.feed(data(1, 'late'), frame(1, 4, 1), frame(1, 8, 1)), []);
  });

  test('breaks at a RST, for both directions', () => {
    const server = new SessionUnderTest('server');
    const stream = server.accept(1);
    server.session.write(stream, Buffer.from('x'));
    const [action] = server.feed(frame(1, 8, 1));
    assert.ok(action?.type === 'broken');
    assert.equal(action.error.code, 'ERR_STREAM_TRUNCATED');
    assert.deepEqual(server.sent().frames, []);
  });

  test('that is reset before it was taken was refused: it can go elsewhere', () => {
    const client = new SessionUnderTest('client');
    client.session.open();
    client.sent();
    const [action] = client.feed(frame(1, 8, 1));
    assert.ok(action?.type === 'broken');
    assert.equal(action.error.code, 'ERR_LINK_FAILED');
  });
});

describe('windows', () => {
  test('hold back what is over them, until they are opened', () => {
    const client = new SessionUnderTest('client');
    const stream = client.session.open();
    client.session.write(stream, Buffer.alloc(300 * KIB));
    const { frames, written } = client.sent();
    const sentBytes = frames
      .filter((head) => head.startsWith('0'))
      .reduce((sum, head) => sum + Number(head.split(' ')[3]), 0);
    assert.equal(sentBytes, 256 * KIB);
    assert.deepEqual(written, []);
    client.feed(frame(1, 2, 1, { length: 40 * KIB }));
    assert.equal(client.sent().written.length, 0);
    client.feed(frame(1, 0, 1, { length: 4 * KIB }));
    assert.deepEqual(client.sent().written, [1]);
  });

  test('are opened again when half of them has been taken, and grow for a reader that keeps up', () => {
    const server = new SessionUnderTest('server');
    const stream = server.accept(1);
    server.feed(data(1, Buffer.alloc(127 * KIB)));
    server.session.consumed(stream, 127 * KIB);
    assert.deepEqual(server.sent().frames, []);
    server.feed(data(1, Buffer.alloc(KIB)));
    server.session.consumed(stream, KIB);
    // What was taken, and as much again as the window was.
    assert.deepEqual(server.sent().frames, [`1 0 1 ${(128 + 256) * KIB}`]);
    server.feed(data(1, Buffer.alloc(512 * KIB)));
    server.session.consumed(stream, 512 * KIB);
    assert.deepEqual(server.sent().frames, [`1 0 1 ${(512 + 512) * KIB}`]);
    server.feed(data(1, Buffer.alloc(1024 * KIB)));
    server.session.consumed(stream, 1024 * KIB);
    assert.deepEqual(server.sent().frames, [`1 0 1 ${1024 * KIB}`]); // no further
  });

  test('grow for nobody where the process holds much, or many streams share the budget', () => {
    const tight = new SessionUnderTest('server');
    tight.isTight = true;
    const crowded = new SessionUnderTest('server');
    for (const server of [tight, crowded]) {
      const stream = server.accept(1);
      if (server === crowded) for (let id = 3; id < 1001; id += 2) server.accept(id);
      server.feed(data(1, Buffer.alloc(256 * KIB)));
      server.session.consumed(stream, 256 * KIB);
      assert.deepEqual(server.sent().frames, [`1 0 1 ${256 * KIB}`]);
    }
  });

  test('of a stream that holds something stay closed where the process holds much', () => {
    const server = new SessionUnderTest('server');
    server.isTight = true;
    const stream = server.accept(1);
    server.feed(data(1, Buffer.alloc(256 * KIB)));
    server.session.consumed(stream, 200 * KIB);
    assert.deepEqual(server.sent().frames, []);
    server.session.consumed(stream, 56 * KIB);
    assert.deepEqual(server.sent().frames, [`1 0 1 ${256 * KIB}`]);
  });

  test('that are ignored end the session, by a byte', () => {
    const server = new SessionUnderTest('server');
    server.accept(1);
    assert.equal(failure(server.feed(data(1, Buffer.alloc(256 * KIB)))), undefined);
    assert.equal(failure(server.feed(data(1, 'x'))), 'ERR_MUX_PROTOCOL');
    assert.deepEqual(server.sent().frames.at(-1), '3 0 0 1');
  });

  test('that are not used any more are not judged: behind our end, and on a RST', () => {
    const server = new SessionUnderTest('server');
    const ended = server.accept(1);
    server.session.end(ended);
    server.sent();
    server.accept(3);
    const all = 0xffff_ffff;
    assert.deepEqual(server.feed(frame(1, 0, 1, { length: all })), []);
    assert.deepEqual(types(server.feed(frame(1, 8, 3, { length: all }))), ['broken']);
    assert.deepEqual(types(server.feed(data(1, 'more'))), ['deliver']);
  });

  test('that are opened past 32 bits end the session', () => {
    const server = new SessionUnderTest('server');
    server.accept(1);
    const most = frame(1, 0, 1, { length: 0xffff_ffff - 256 * KIB });
    assert.equal(failure(server.feed(most)), undefined);
    assert.equal(failure(server.feed(frame(1, 0, 1, { length: 1 }))), 'ERR_MUX_PROTOCOL');
  });
});

describe('the budget of a link', () => {
  test('at its limit the stream that was last taken from the longest ago is reset, and only that', () => {
    const server = new SessionUnderTest('server');
    const window = 256 * KIB;
    const count = limits.linkBudgetBytes / window;
    const streams = Array.from({ length: count + 1 }, (_, index) => server.accept(2 * index + 1));
    for (const { id } of streams.slice(0, count)) server.feed(data(id, Buffer.alloc(window)));
    // The first is the oldest, but its reader has just taken something.
    server.session.consumed(streams[0]!, 1);
    assert.equal(server.session.heldBytes, limits.linkBudgetBytes - 1);
    const actions = server.feed(data(streams[count]!.id, 'xy'));
    assert.deepEqual(types(actions), ['deliver', 'broken']);
    assert.ok(actions[1]?.type === 'broken' && actions[1].stream === streams[1]);
    assert.equal(server.session.heldBytes, limits.linkBudgetBytes - 1 - window + 2);
    assert.deepEqual(server.sent().frames, ['1 8 3 0']);
  });

  test('counts what an ended stream still holds, until it is closed', () => {
    const server = new SessionUnderTest('server');
    const stream = server.accept(1);
    server.feed(data(1, 'left over', 4));
    server.session.end(stream);
    server.sent();
    assert.equal(server.session.streamCount, 0);
    assert.equal(server.session.heldBytes, 9);
    server.session.close(stream);
    assert.equal(server.session.heldBytes, 0);
    assert.deepEqual(server.sent().frames, []);
  });
});

describe('turns', () => {
  const frameBytes = limits.muxFrameBytes;

  test('are equal: everyone who has something gets one a round', () => {
    const client = new SessionUnderTest('client');
    const streams = Array.from({ length: 5 }, () => client.session.open());
    client.sent(); // the SYNs
    for (const stream of streams) client.session.write(stream, Buffer.alloc(3 * frameBytes));
    const ids = client
      .sent(frameBytes + 12)
      .frames.filter((head) => head.startsWith('0'))
      .map((head) => Number(head.split(' ')[2]));
    const round = [1, 3, 5, 7, 9];
    assert.deepEqual(ids, [...round, ...round, ...round]);
  });

  test('give all as many bytes, however little each has at a time; a small write goes ahead', () => {
    const client = new SessionUnderTest('client');
    const bulky = Array.from({ length: 4 }, () => client.session.open());
    const small = client.session.open();
    client.sent(); // the SYNs
    const chunkBytes = ({ id }: MuxStreamState): number =>
      id === 9 ? 1000 : id * (frameBytes / 8);
    /** What each sends in so many bursts, when whoever has none left gets the next chunk at once. */
    const send = (bursts: number, streams: readonly MuxStreamState[]): Map<number, number> => {
      const sent = new Map(streams.map(({ id }) => [id, 0]));
      for (let count = 0; count < bursts; count += 1) {
        for (const stream of streams) {
          if (stream.pending !== undefined) continue;
          client.session.write(stream, Buffer.alloc(chunkBytes(stream)));
        }
        const burst = Buffer.alloc(frameBytes + 12);
        const length = client.session.produce(burst, 0, []);
        for (const { head, body } of framesOf(burst.subarray(0, length))) {
          const id = Number(head.split(' ')[2]);
          sent.set(id, sent.get(id)! + body.length);
        }
      }
      return sent;
    };
    const spread = (amounts: Iterable<number>): number =>
      Math.max(...amounts) - Math.min(...amounts);
    assert.ok(spread(send(9, bulky).values()) <= 2 * frameBytes);
    assert.ok(bulky.some(({ isQueued }) => isQueued));
    client.session.write(small, Buffer.from('key'));
    const next = Buffer.alloc(12 + 3);
    client.session.produce(next, 0, []);
    assert.equal(next.readUInt32BE(4), small.id);
    const { [small.id]: little, ...others } = Object.fromEntries(send(6, [...bulky, small]));
    assert.ok(little! <= Math.max(...Object.values(others)) + frameBytes);
  });

  test('any streams with any amounts get all of it through any windows', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1000, max: 70_000 }),
        (amounts, burstBytes) => {
          const client = new SessionUnderTest('client');
          const server = new SessionUnderTest('server');
          const left = new Map(amounts.map((bytes) => [client.session.open(), bytes]));
          const got = new Map<number, number>();
          const ended = new Set<number>();
          for (const [stream, bytes] of left) {
            client.session.write(stream, Buffer.alloc(bytes));
            client.session.end(stream);
          }
          for (let idle = 0; idle < 2;) {
            idle += 1;
            for (const [from, to] of [
              [client, server],
              [server, client],
            ] as const) {
              const burst = Buffer.alloc(burstBytes);
              const length = from.session.produce(burst, 0, []);
              if (length > 0) idle = 0;
              for (const action of to.feed(burst.subarray(0, length))) {
                if (action.type === 'deliver') {
                  const { id } = action.stream;
                  got.set(id, (got.get(id) ?? 0) + action.bytes.length);
                  to.session.consumed(action.stream, action.bytes.length);
                } else if (action.type === 'end') ended.add(action.stream.id);
                else assert.ok(action.type === 'opened' || action.type === 'acked', action.type);
              }
            }
          }
          for (const [{ id }, bytes] of left) assert.equal(got.get(id), bytes);
          assert.equal(ended.size, amounts.length);
        },
      ),
      { seed: 11, numRuns: 60 },
    );
  });
});

describe('a session', () => {
  test('answers pings, and hears the answer to its own', () => {
    const server = new SessionUnderTest('server');
    assert.deepEqual(server.feed(frame(2, 1, 0, { length: 77 })), []);
    assert.deepEqual(server.sent().frames, ['2 2 0 77']);
    server.session.ping();
    assert.deepEqual(server.sent().frames, ['2 1 0 1']);
    assert.deepEqual(server.feed(frame(2, 2, 0, { length: 9 })), []);
    assert.deepEqual(types(server.feed(frame(2, 2, 0, { length: 1 }))), ['pong']);
  });

  test('that drains keeps its streams and refuses new ones', () => {
    const server = new SessionUnderTest('server');
    const stream = server.accept(1);
    server.session.drain();
    server.session.drain();
    assert.deepEqual(server.sent().frames, ['3 0 0 0']);
    assert.deepEqual(server.feed(frame(1, 1, 3)), []);
    assert.deepEqual(server.sent().frames, ['1 8 3 0']);
    server.session.write(stream, Buffer.from('on'));
    assert.deepEqual(server.sent().frames, ['0 0 1 2']);
  });

  test('whose peer drains opens nothing more', () => {
    const client = new SessionUnderTest('client');
    assert.equal(client.session.mayOpen, true);
    assert.deepEqual(types(client.feed(frame(3, 0, 0))), ['draining']);
    assert.equal(client.session.mayOpen, false);
  });

  test('lets 256 streams wait to be taken, and no more', () => {
    const client = new SessionUnderTest('client');
    while (client.session.mayOpen) client.session.open();
    assert.equal(client.session.streamCount, 256);
    client.sent();
    client.feed(frame(1, 2, 1));
    assert.equal(client.session.mayOpen, true);
  });

  test('has a limit of streams at both ends', () => {
    const server = new SessionUnderTest('server');
    for (let index = 0; index < limits.linkStreams; index += 1) server.accept(2 * index + 1);
    assert.deepEqual(server.feed(frame(1, 1, 2 * limits.linkStreams + 1)), []);
    assert.deepEqual(server.sent().frames, [`1 8 ${2 * limits.linkStreams + 1} 0`]);
    assert.equal(server.session.mayOpen, false);
  });
});

describe('a peer that', () => {
  const rules: readonly [string, readonly Buffer[]][] = [
    ['sends to a stream that never was', [data(3, 'x')]],
    ['sends to stream 0', [data(0, 'x')]],
    ['sends to a stream of ours that never was', [data(2, 'x')]],
    ['opens a stream twice', [frame(1, 1, 1)]],
    ['opens a stream with one of our numbers', [frame(1, 1, 2)]],
    ['opens stream 0', [frame(1, 1, 0)]],
    ['announces 4 GiB', [frame(0, 0, 1, { length: 0xffff_ffff })]],
    ['sends more after its end', [frame(1, 4, 1), data(1, 'x')]],
  ];
  for (const [what, frames] of rules) {
    test(`${what} loses the session`, () => {
      const server = new SessionUnderTest('server');
      server.accept(1);
      assert.equal(failure(server.feed(...frames)), 'ERR_MUX_PROTOCOL');
      // Nothing is looked at any more.
      assert.deepEqual(server.feed(data(1, 'x')), []);
    });
  }

  const floods: readonly [string, (index: number) => Buffer[]][] = [
    ['pings', () => [frame(2, 1, 0)]],
    ['opens and resets', (index) => [frame(1, 1, 2 * index + 3), frame(1, 8, 2 * index + 3)]],
    ['opens windows by nothing', () => [frame(1, 0, 1)]],
    ['opens windows by a byte', () => [frame(1, 0, 1, { length: 1 })]],
    ['sends empty data', () => [data(1, '')]],
    ['resets what is gone', () => [frame(1, 8, 1)]],
  ];
  for (const [what, frames] of floods) {
    test(`${what} without end loses the session; now and then it may`, () => {
      const flooded = new SessionUnderTest('server');
      flooded.accept(1);
      let index = 0;
      while (failure(flooded.feed(...frames(index))) === undefined) {
        index += 1;
        flooded.sent();
        assert.ok(index <= limits.muxStrikes + 1, 'never');
      }
      const patient = new SessionUnderTest('server');
      patient.accept(1);
      for (index = 0; index < 3 * limits.muxStrikes; index += 1) {
        patient.nowMs += 51; // less than twenty a second
        assert.equal(failure(patient.feed(...frames(index))), undefined);
        patient.sent();
      }
    });
  }

  test('opens more streams than there may be loses the session', () => {
    const server = new SessionUnderTest('server');
    let id = 1;
    while (failure(server.feed(frame(1, 1, id))) === undefined) {
      id += 2;
      server.sent();
      assert.ok(id < 4 * (limits.linkStreams + limits.muxStrikes), 'never');
    }
  });

  test('asks and reads no answer loses the session', () => {
    const server = new SessionUnderTest('server');
    let id = 1;
    for (; ; id += 2) {
      const [action] = server.feed(frame(1, 1, id));
      if (action?.type !== 'opened') {
        assert.equal(failure([action!]), 'ERR_MUX_PROTOCOL');
        break;
      }
      // Our end lets it go, as after a target that has reset.
      action.stream.firstFlag = 0;
      server.session.close(action.stream);
      assert.ok(id < 4 * limits.muxControlFrames, 'never');
    }
  });

  test('ends in the middle of anything, or sends anything, gets no other error', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 0, max: 4 }),
            fc.integer({ min: 0, max: 15 }),
            fc.integer({ min: 0, max: 9 }),
            fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 0xffff_ffff })),
            fc.boolean(),
          ),
          { maxLength: 40 },
        ),
        (frames) => {
          const server = new SessionUnderTest('server');
          for (const [type, flags, id, length, hasBody] of frames) {
            const bytes =
              type === 0 && hasBody
                ? frame(type, flags, id, { body: 'body' })
                : frame(type, flags, id, { length });
            for (const action of server.feed(bytes)) {
              if (action.type === 'failed') assert.match(action.error.code, /^ERR_MUX_/);
              if (action.type === 'deliver' && id % 4 === 1) {
                server.session.consumed(action.stream, action.bytes.length);
              }
              if (action.type === 'opened' && id % 4 === 3) server.session.end(action.stream);
            }
            server.sent();
          }
          assert.ok(server.session.heldBytes >= 0);
        },
      ),
      { seed: 12, numRuns: 2000 },
    );
  });
});
