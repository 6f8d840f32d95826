/** Sessions over connections: streams as plain Duplexes, and what happens to them when anything ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { ByteBudget } from '../../src/bytes/budget.ts';
import type { PosternError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { MuxConnection, type MuxConnectionOptions } from '../../src/mux/node/connection.ts';
import { PayloadStream } from '../../src/net/payload-stream.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { frame, framesOf, wirePair } from '../support/mux.ts';
import { echo, readAll, readBytes } from '../support/sockets.ts';

type Options = Partial<MuxConnectionOptions>;

interface Ends {
  readonly client: MuxConnection;
  readonly server: MuxConnection;
  /** What the client opened, as it arrives. */
  readonly accepted: Duplex[];
  readonly wires: readonly [Duplex, Duplex];
}

/** Two ends over a wire in memory. */
function connect(client: Options = {}, server: Options = {}): Ends {
  const wires = wirePair();
  const accepted: Duplex[] = [];
  const budget = new ByteBudget(1e9);
  return {
    client: new MuxConnection(wires[0], { role: 'client', budget, ...client }),
    server: new MuxConnection(wires[1], {
      role: 'server',
      budget,
      onStream: (stream) => accepted.push(stream),
      ...server,
    }),
    accepted,
    wires,
  };
}

/** A stream and its far end. */
async function openPair(ends: Ends): Promise<[Duplex, Duplex]> {
  const stream = await ends.client.open();
  const index = ends.accepted.length;
  while (ends.accepted.length === index) await nextTurn();
  return [stream, ends.accepted[index]!];
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: PosternError) => error.code,
  );
}

async function brokenBy(stream: Duplex): Promise<string> {
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
  return (stream.errored as PosternError).code;
}

describe('a stream', () => {
  test('carries each direction to its own end', async () => {
    const [near, far] = await openPair(connect());
    near.end('request');
    assert.equal((await readAll(far)).toString(), 'request');
    far.end('answer after the end');
    assert.equal((await readAll(near)).toString(), 'answer after the end');
    for (const end of [near, far]) if (!end.closed) await once(end, 'close');
  });

  test('carries megabytes, in both directions at once', async () => {
    const ends = connect({}, { onStream: echo });
    const payload = Buffer.alloc(5_000_000, 'some payload that has no period of a power of two');
    const stream = await ends.client.open();
    stream.end(payload);
    assert.ok((await readAll(stream)).equals(payload));
  });

  test('whose reader stops holds up its writer, and nobody else', async () => {
    const ends = connect();
    const [stopped, unread] = await openPair(ends);
    let written = 0;
    const pour = (): void => {
      while (stopped.write(Buffer.alloc(10_000))) written += 10_000;
    };
    stopped.on('drain', pour);
    pour();
    const [lively, far] = await openPair(ends);
    echo(far);
    for (let round = 0; round < 20; round += 1) {
      lively.write('still here');
      assert.equal((await readBytes(lively, 10)).toString(), 'still here');
    }
    const most = limits.linkStreamWindowBytes + 3 * 65_536;
    assert.ok(written <= most, `${written} bytes went to a reader that does not read`);
    const before = written;
    unread.resume();
    while (written === before) await nextTurn();
    ends.client.close();
  });

  test('that one end destroys breaks at the other', async () => {
    const [near, far] = await openPair(connect());
    near.destroy();
    assert.equal(await brokenBy(far), 'ERR_STREAM_TRUNCATED');
  });

  test('keeps the memory of what waits for its reader near its length', async () => {
    const budget = new ByteBudget(1e9);
    const [near, far] = await openPair(connect({}, { budget }));
    near.cork();
    for (let index = 0; index < 300; index += 1) near.write(Buffer.alloc(100));
    near.uncork();
    while (budget.heldBytes < 30_000) await nextTurn();
    let memory = 0;
    const buffers = new Set<ArrayBufferLike>();
    for (let chunk = far.read(); chunk !== null; chunk = far.read() as Buffer | null) {
      const { buffer } = chunk as Buffer;
      if (!buffers.has(buffer)) memory += buffer.byteLength;
      buffers.add(buffer);
    }
    assert.ok(memory <= 3 * 30_000, `${memory} bytes for 30,000`);
  });

  test('that nobody takes is refused', async () => {
    const wires = wirePair();
    const budget = new ByteBudget(1e9);
    const client = new MuxConnection(wires[0], { role: 'client', budget });
    new MuxConnection(wires[1], { role: 'server', budget });
    assert.equal(await brokenBy(await client.open()), 'ERR_LINK_FAILED');
  });
});

describe('opening', () => {
  /** A server that takes nothing: the wire goes nowhere. */
  const silent = (): MuxConnection =>
    new MuxConnection(wirePair()[0], { role: 'client', budget: new ByteBudget(1e9) });

  test('waits in line behind 256 that have not been taken, and goes on when they are', async () => {
    const ends = connect();
    const streams = await Promise.all(Array.from({ length: 1000 }, () => ends.client.open()));
    assert.equal(new Set(streams).size, 1000);
    while (ends.accepted.length < 1000) await nextTurn();
    assert.equal(ends.client.streamCount, 1000);
  });

  test('can be given up while it waits', async () => {
    const client = silent();
    for (let index = 0; index < limits.muxUnackedStreams; index += 1) await client.open();
    const reason = new Error('changed my mind');
    const controller = new AbortController();
    const waiting = client.open({ signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(client.open({ signal: controller.signal }), reason);
  });

  test('fails when the connection ends, drains, or has ended', async () => {
    for (const end of ['close', 'drain'] as const) {
      const client = silent();
      for (let index = 0; index < limits.muxUnackedStreams; index += 1) await client.open();
      const waiting = client.open();
      client[end]();
      assert.equal(await codeOf(waiting), 'ERR_LINK_FAILED');
      assert.equal(await codeOf(client.open()), 'ERR_LINK_FAILED');
    }
  });
});

describe('a connection', () => {
  test('that drains ends with its last stream, and its peer knows', async () => {
    let isDraining = false;
    const ends = connect({ onDraining: () => (isDraining = true) });
    const [near, far] = await openPair(ends);
    ends.server.drain();
    while (!isDraining) await nextTurn();
    assert.equal(ends.client.isOpen, false);
    near.end('last words');
    assert.equal((await readAll(far)).toString(), 'last words');
    far.end();
    near.resume();
    assert.equal(await ends.client.closed, undefined);
    assert.equal(await ends.server.closed, undefined);
  });

  test('that is closed breaks its streams at both ends', async () => {
    const ends = connect();
    const [near, far] = await openPair(ends);
    ends.client.close();
    ends.client.close();
    assert.equal(await brokenBy(near), 'ERR_LINK_FAILED');
    assert.equal(await brokenBy(far), 'ERR_LINK_FAILED');
    await Promise.all([ends.client.closed, ends.server.closed]);
  });

  test('whose wire breaks or ends breaks its streams', async () => {
    for (const breakWire of [
      (wire: Duplex) => wire.destroy(new Error('cut')),
      (wire: Duplex) => wire.destroy(),
      (wire: Duplex) => wire.end(),
    ]) {
      const ends = connect();
      const [near, far] = await openPair(ends);
      breakWire(ends.wires[0]);
      assert.equal(await brokenBy(near), 'ERR_LINK_FAILED');
      await ends.client.closed;
      far.destroy();
      ends.server.close();
    }
  });

  test('may be closed by who hears that a write is through', async () => {
    const { client, server } = connect({}, { onStream: (stream) => stream.resume() });
    const stream = await client.open();
    stream.write(Buffer.alloc(300_000), () => client.close());
    await client.closed;
    await server.closed;
  });

  test('over a wire that is gone already has ended', async () => {
    const [wire] = wirePair();
    wire.destroy();
    const client = new MuxConnection(wire, { role: 'client', budget: new ByteBudget(1e9) });
    await client.closed;
    assert.equal(await codeOf(client.open()), 'ERR_LINK_FAILED');
  });

  test('says why it hangs up on a peer that breaks the rules', async () => {
    const [wire, peer] = wirePair();
    const server = new MuxConnection(wire, { role: 'server', budget: new ByteBudget(1e9) });
    const heard = readAll(peer);
    peer.write(frame(0, 0, 7, { body: 'x' }));
    assert.equal(((await server.closed) as PosternError).code, 'ERR_MUX_PROTOCOL');
    assert.deepEqual(
      framesOf(await heard).map(({ head }) => head),
      ['3 0 0 1'],
    );
  });

  test('gives up a peer that sends half a header and waits', async () => {
    const timers = new HandTimers();
    const [wire, peer] = wirePair();
    const server = new MuxConnection(wire, {
      role: 'server',
      budget: new ByteBudget(1e9),
      timers,
    });
    peer.write(frame(2, 1, 0).subarray(0, 5));
    await timers.isSet(limits.muxHeaderMs);
    peer.write(frame(2, 1, 0).subarray(5));
    peer.resume();
    while (timers.delays.length > 0) await nextTurn();
    peer.write(Buffer.of(0));
    await timers.fire(limits.muxHeaderMs);
    await server.closed;
  });

  test('is silent when nobody uses it', async () => {
    const [wire, peer] = wirePair();
    const client = new MuxConnection(wire, { role: 'client', budget: new ByteBudget(1e9) });
    let heard = 0;
    peer.on('data', (chunk: Buffer) => (heard += chunk.length));
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    assert.equal(heard, 0);
    client.close();
  });

  test('sends in one piece what many streams write in one turn', async () => {
    const [wire, peer] = wirePair();
    const client = new MuxConnection(wire, { role: 'client', budget: new ByteBudget(1e9) });
    const streams = await Promise.all(Array.from({ length: 10 }, () => client.open()));
    const chunks: Buffer[] = [];
    peer.on('data', (chunk: Buffer) => chunks.push(chunk));
    while (chunks.length === 0) await nextTurn();
    chunks.length = 0;
    for (const stream of streams) for (const part of ['a', 'b', 'c']) stream.write(part);
    while (chunks.length === 0) await nextTurn();
    assert.equal(chunks.length, 1);
    assert.equal(framesOf(chunks[0]!).length, 30);
  });

  test('does not let a chunk of tiny frames hold up the event loop', async () => {
    const [wire, peer] = wirePair(10_000_000);
    const server = new MuxConnection(wire, {
      role: 'server',
      budget: new ByteBudget(1e9),
      onStream: (stream) => stream.resume(),
    });
    const tiny = frame(0, 0, 1, { body: 'x' });
    let isAnswered = false;
    peer.on('data', (chunk: Buffer) => {
      isAnswered ||= framesOf(chunk).some(({ head }) => head === '2 2 0 5');
    });
    peer.write(frame(1, 1, 1));
    peer.write(Buffer.concat(Array.from({ length: 50_000 }, () => tiny)));
    peer.write(frame(2, 1, 0, { length: 5 }));
    let turns = 0;
    while (!isAnswered) {
      await nextTurn();
      turns += 1;
    }
    assert.ok(turns > 5, `${turns} turns`);
    server.close();
  });

  test('does not let many chunks of tiny frames hold it up together', async (t) => {
    let nowMs = performance.now();
    let turnStartMs = nowMs;
    let longestMs = 0;
    let missing = 20 * 500;
    t.mock.method(performance, 'now', () => nowMs);
    const onStream = (stream: Duplex): void => {
      stream.on('data', () => {
        nowMs += 0.1;
        missing -= 1;
        longestMs = Math.max(longestMs, nowMs - turnStartMs);
      });
    };
    const tiny = Array.from({ length: 500 }, () => frame(0, 0, 1, { body: 'x' }));
    const links = Array.from({ length: 20 }, () => {
      const [wire, peer] = wirePair(10_000_000);
      const budget = new ByteBudget(1e9);
      const server = new MuxConnection(wire, { role: 'server', budget, onStream });
      peer.write(frame(1, 1, 1));
      return { server, peer };
    });
    // Until each stream is there and read.
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    for (const { peer } of links) peer.write(Buffer.concat(tiny));
    while (missing > 0) {
      turnStartMs = nowMs;
      await nextTurn();
    }
    assert.ok(longestMs <= 20, `${longestMs} ms in one turn`);
    for (const { server } of links) server.close();
  });
});

/** A connection below, by hand. */
class Below extends PayloadStream {
  readonly unsentBytes = 0;
  readonly sent: Buffer[] = [];

  constructor() {
    super(1);
  }

  protected override transmit(bytes: Uint8Array): boolean {
    this.sent.push(Buffer.from(bytes));
    return true;
  }

  protected override transmitEnd(onSent: () => void): void {
    onSent();
  }

  protected override taken(): void {}

  /** @returns whether nobody needs the chunk any more */
  bring(...frames: readonly Buffer[]): boolean {
    return this.deliver(Buffer.concat(frames));
  }

  bringEnd(): void {
    this.deliverEnd();
  }
}

describe('over a connection whose payload passes by Node’s streams, what comes', () => {
  const data = (id: number, bytes: number): Buffer =>
    frame(0, 0, id, { body: Buffer.alloc(bytes) });

  test('is not needed any more once each stream’s sink is done with its part', async () => {
    const below = new Below();
    const streams: PayloadStream[] = [];
    const onStream = (stream: Duplex): void => void streams.push(stream as PayloadStream);
    new MuxConnection(below, { role: 'server', budget: new ByteBudget(1e9), onStream });
    below.bring(frame(1, 1, 1), frame(1, 1, 3));
    let isDone = true;
    const got: number[] = [];
    for (const [index, stream] of streams.entries()) {
      const sink = (bytes: Uint8Array): boolean => {
        got.push(bytes.length);
        return index === 0 || isDone;
      };
      stream.readInto(sink).resume();
    }
    assert.equal(below.bring(data(1, 10), data(3, 20)), true);
    isDone = false;
    assert.equal(below.bring(data(1, 10), data(3, 20)), false);
    streams[1]!.pause();
    isDone = true;
    assert.equal(below.bring(data(3, 30), data(1, 10)), false);
    streams[1]!.resume();
    assert.deepEqual(got, [10, 20, 10, 20, 10, 30]);
    below.destroy();
  });

  test('is worked off before the connection’s end is heard', async () => {
    const below = new Below();
    let received = 0;
    const server = new MuxConnection(below, {
      role: 'server',
      budget: new ByteBudget(1e9),
      onStream: (stream) => stream.on('data', (bytes: Buffer) => (received += bytes.length)),
    });
    const tiny = Buffer.concat(Array.from({ length: 50_000 }, () => data(1, 1)));
    below.bring(frame(1, 1, 1), tiny);
    below.bringEnd();
    assert.ok(received < 50_000);
    await server.closed;
    assert.equal(received, 50_000);
  });

  test('goes out in one piece where many streams speak in one turn', async () => {
    const below = new Below();
    const client = new MuxConnection(below, { role: 'client', budget: new ByteBudget(1e9) });
    for (let count = 0; count < 3; count += 1) (await client.open()).write('x');
    while (below.sent.length === 0) await nextTurn();
    assert.deepEqual(
      below.sent.map((bytes) => framesOf(bytes).map(({ head }) => head)),
      [['1 1 1 0', '0 0 1 1', '1 1 3 0', '0 0 3 1', '1 1 5 0', '0 0 5 1']],
    );
    client.close();
  });
});

describe('what passes', () => {
  test('waits in both directions when the meter says so', async () => {
    const timers = new HandTimers();
    const [wire, peer] = wirePair();
    const meter = { onRead: () => 70, onWrite: () => 50 };
    const client = new MuxConnection(wire, {
      role: 'client',
      budget: new ByteBudget(1e9),
      meter,
      timers,
    });
    const stream = await client.open();
    const heads = async (): Promise<string[]> => {
      const [chunk] = (await once(peer, 'data')) as [Buffer];
      return framesOf(chunk).map(({ head }) => head);
    };
    assert.deepEqual(await heads(), ['1 1 1 0']);
    stream.write('a');
    await timers.isSet(50);
    const next = heads();
    await timers.fire(50);
    assert.deepEqual(await next, ['0 0 1 1']);

    peer.write(frame(0, 2, 1, { body: '1' }));
    assert.equal((await readBytes(stream, 1)).toString(), '1');
    peer.write(frame(0, 0, 1, { body: '2' }));
    await timers.isSet(70);
    assert.equal(stream.read(), null);
    await timers.fire(70);
    assert.equal((await readBytes(stream, 1)).toString(), '2');
    client.close();
  });
});

describe('the budget of the process', () => {
  test('closes the connection that holds most when all together hold too much', async () => {
    const budget = new ByteBudget(500_000);
    const small = connect({}, { budget });
    const large = connect({}, { budget });
    const [a, unreadA] = await openPair(small);
    a.write(Buffer.alloc(200_000));
    while (budget.heldBytes < 200_000) await nextTurn();
    assert.equal(budget.isTight, false);
    const [b] = await openPair(large);
    const [c] = await openPair(large);
    b.write(Buffer.alloc(200_000));
    c.write(Buffer.alloc(200_000));
    assert.equal(((await large.server.closed) as PosternError).code, 'ERR_LINK_FAILED');
    assert.equal(small.server.isOpen, true);
    while (budget.heldBytes > 200_000) await nextTurn();
    unreadA.resume();
    while (budget.heldBytes > 0) await nextTurn();
    small.client.close();
    await small.server.closed;
  });
});
