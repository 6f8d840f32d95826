/** The checks themselves. Each throws a `Violation` that says what is broken, or returns. */
import { isTight } from '../../bytes/tightly.ts';
import { randomBytes, randomInteger } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import { isTransportName } from '../../pt/names.ts';
import type { Transport } from '../contract.ts';
import { TestedBridge, type BridgeSetup } from './tested-bridge.ts';
import {
  byteByByte,
  coalesced,
  randomChunks,
  splitAt,
  Violation,
  type Chunking,
  type SessionEnd,
} from './session-pair.ts';

/** What a check has to work with. */
export interface CheckContext {
  readonly transport: Transport;
  readonly setup: BridgeSetup;
  readonly bridge: TestedBridge;
  readonly wrongArguments: readonly KeyValues[];
  readonly wrongOptions: readonly KeyValues[];
  readonly transferBytes: number;
  readonly sessionBytes: number;
  /** Undefined where memory cannot be measured. */
  readonly measureMemory: (() => number) | undefined;
}

/** Thrown by a check that cannot be carried out, with the reason. */
export class NotApplicable extends Error {
  override readonly name: string = 'NotApplicable';
}

/** A small payload that no transport could take for something else. */
const QUESTION = Buffer.from('question\0\xff', 'latin1');
const ANSWER = Buffer.from('answer\0\xfe', 'latin1');

export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}

function demandDelivered(end: SessionEnd, expected: Uint8Array, when: string): void {
  const { name, failure } = end;
  if (failure !== undefined) {
    throw new Violation(`${when}, the ${name} failed: ${failure.error.message}`);
  }
  const delivered = end.deliveredBytes;
  if (delivered.equals(expected)) return;
  let same = 0;
  while (same < delivered.length && delivered[same] === expected[same]) same += 1;
  const was = `${delivered.length} bytes of which the first ${same} are right`;
  throw new Violation(`${when}, the ${name} delivered ${was}, instead of ${expected.length}`);
}

/** Payload both ways over a pair that is made with this cut. */
function exchange(bridge: TestedBridge, chunking: Chunking, when: string): void {
  const pair = bridge.connect({ chunking }).establish();
  pair.write(pair.client, QUESTION);
  pair.write(pair.server, ANSWER);
  demandDelivered(pair.server, QUESTION, when);
  demandDelivered(pair.client, ANSWER, when);
}

/** A handshake and payload, cut at every boundary. */
export function checkFragmentation({ bridge }: CheckContext): void {
  exchange(bridge, coalesced, 'with whole chunks');
  exchange(bridge, byteByByte, 'byte by byte');
  // From the front, each cut by itself; far into the padding that most handshakes have, every 61st.
  for (let point = 1; point < 10_000; point += point < 300 ? 1 : 61) {
    exchange(bridge, splitAt(point), `with a cut after ${point} bytes`);
  }
  // And from the back, where marks and MACs are.
  for (let last = 1; last < 200; last += 1) {
    const cut: Chunking = (waiting) => (waiting > last ? waiting - last : waiting);
    exchange(bridge, cut, `with a cut before the last ${last} bytes`);
  }
}

/** Payload that follows the handshake in the same chunk. */
export function checkLeftover({ bridge }: CheckContext): void {
  const pair = bridge.connect({ writeWhenEstablished: QUESTION }).establish();
  demandDelivered(pair.server, QUESTION, 'with payload right behind the handshake');
  demandDelivered(pair.client, QUESTION, 'with payload right behind the handshake');
}

/** Each direction ends by itself. */
export function checkHalfClose({ bridge }: CheckContext): void {
  for (const first of ['client', 'server'] as const) {
    const pair = bridge.connect().establish();
    const [ending, other] =
      first === 'client' ? [pair.client, pair.server] : [pair.server, pair.client];
    pair.write(ending, QUESTION);
    pair.writeEnd(ending);
    demand(ending.sentEnd, `the ${ending.name} did not end its direction`);
    demandDelivered(other, QUESTION, `before the end of the ${ending.name}’s direction`);
    demand(other.deliveredEnd, `the ${other.name} did not pass the end on`);
    demand(!other.sentEnd, `the ${other.name} ended its own direction as well`);
    pair.write(other, ANSWER);
    demandDelivered(ending, ANSWER, `after the end of the ${ending.name}’s direction`);
    pair.writeEnd(other);
    demand(ending.deliveredEnd, `the ${ending.name} did not pass the second end on`);
  }
}

/** A session that holds bytes back says so, sends them in time, and holds no more than it was given. */
export function checkBackPressure({ bridge, setup }: CheckContext): void {
  const chunk = randomBytes(setup.rng, 65_536);
  for (const name of ['client', 'server'] as const) {
    const pair = bridge.connect().establish();
    const from = pair[name];
    const to = name === 'client' ? pair.server : pair.client;
    for (let count = 0; count < 4; count += 1) {
      const sentBefore = from.sentBytes.length;
      from.write(chunk);
      const { queuedBytes } = from.session;
      const held = `the ${name} was given ${chunk.length} bytes and holds ${queuedBytes}`;
      demand(Number.isSafeInteger(queuedBytes) && queuedBytes >= 0, held);
      demand(queuedBytes <= 4 * chunk.length, held);
      demand(
        queuedBytes > 0 || from.sentBytes.length - sentBefore > 0,
        `the ${name} neither sent what it was given nor says that it holds it`,
      );
      demand(
        queuedBytes === 0 || from.timerMs !== undefined,
        `the ${name} holds bytes back without a timer to send them`,
      );
      pair.settle();
      demand(from.session.queuedBytes === 0, `the ${name} never sends all that it holds`);
    }
    const all = Buffer.concat(Array.from({ length: 4 }, () => chunk));
    demandDelivered(to, all, 'after four large writes');
  }
}

/** Connections that are cut or that stall, at every point. */
export function checkAbort({ bridge }: CheckContext): void {
  for (const name of ['client', 'server'] as const) {
    const waiting = bridge.connect()[name];
    waiting.start();
    if (!waiting.established) {
      demand(waiting.timerMs !== undefined, `the ${name} waits without a timer for a silent peer`);
      waiting.fireTimer();
      demand(!waiting.isLive, `the ${name} does not give up when its timer runs out`);
    }
    checkCuts(bridge, name);
  }
}

/** The wire ends after so many bytes of the handshake, or in the middle of payload. */
function checkCuts(bridge: TestedBridge, name: 'client' | 'server'): void {
  const peerName = name === 'client' ? 'server' : 'client';
  for (let point = 0; point < 2000; point += point < 100 ? 1 : 47) {
    const pair = bridge.connect();
    const end = pair[name];
    const peer = pair[peerName];
    peer.start();
    end.start();
    // Without the other's answer a side sends its first flight, and no more.
    if (end.sent.length > 0) peer.receive(end.sentBytes);
    const bytes = peer.sentBytes.subarray(0, point);
    if (bytes.length > 0) end.receive(bytes);
    const wasEstablished = end.established;
    end.receiveEnd();
    if (wasEstablished) {
      demand(end.deliveredEnd || !end.isLive, `the ${name} keeps silent about the end`);
    } else {
      demand(!end.isLive, `the ${name} does not notice that the wire ended after ${point} bytes`);
    }
    if (bytes.length === peer.sentBytes.length) break;
  }
  const pair = bridge.connect().establish();
  const [from, to] = [pair[peerName], pair[name]];
  const sentBefore = from.sentBytes.length;
  from.write(QUESTION);
  const frame = from.sentBytes.subarray(sentBefore);
  to.receive(frame.subarray(0, Math.floor(frame.length / 2)));
  to.receiveEnd();
  demand(to.deliveredEnd || !to.isLive, `the ${name} keeps silent about an end inside payload`);
  const delivered = to.deliveredBytes;
  demand(
    QUESTION.subarray(0, delivered.length).equals(delivered),
    `the ${name} delivered what was never written, of payload that was cut`,
  );
}

/** A stranger, who does not know the arguments, gets no answer and is closed by the timer. */
export function checkProbing(context: CheckContext): void {
  const { bridge, setup } = context;
  const { rng } = setup;
  const probe = (bytes: Uint8Array, what: string, mustEnd: boolean): void => {
    const { server } = bridge.connect();
    server.start();
    demand(server.sent.length === 0, 'the server speaks first');
    const patienceMs = server.timerMs ?? Infinity;
    demand(patienceMs < Infinity, 'the server waits without a timer for a silent peer');
    demand(
      bridge.server.rejectAfterMs >= patienceMs,
      'rejectAfterMs is shorter than the server’s patience: a silent probe is closed at another time',
    );
    for (let at = 0; at < bytes.length && server.isLive;) {
      const end = at + randomInteger(rng, 1, 2000);
      server.receive(bytes.subarray(at, end));
      at = end;
    }
    if (!mustEnd && server.isLive) server.fireTimer();
    demand(!server.established, `the server took ${what} for a client’s handshake`);
    demand(server.sent.length === 0, `the server answered ${what}`);
    demand(!server.isLive, `the server still reads and keeps ${what}, of ${bytes.length} bytes`);
    demand(
      server.failure?.type === 'rejected',
      `the server closes at once upon ${what}: it must answer \`rejected\``,
    );
  };
  for (let count = 0; count < 100; count += 1) {
    probe(randomBytes(rng, randomInteger(rng, 0, 3000)), 'random bytes', false);
  }
  probe(randomBytes(rng, 65_536), 'random bytes', true);
  probe(Buffer.alloc(65_536), 'zeros', true);
  probe(Buffer.from('GET / HTTP/1.1\r\nHost: example\r\n\r\n'), 'an HTTP request', false);
  for (let count = 0; count < 60; count += 1) {
    const hello = clientHello(bridge);
    const bit = randomInteger(rng, 0, 8 * hello.length - 1);
    hello[bit >>> 3]! ^= 1 << (bit & 7);
    probe(hello, `a client’s handshake with bit ${bit} changed`, false);
  }
  for (let count = 0; count < 60; count += 1) {
    const hello = clientHello(bridge);
    const cut = hello.subarray(0, randomInteger(rng, 0, hello.length - 1));
    probe(cut, 'a client’s handshake that was cut', false);
  }
}

/** A recorded handshake is refused. */
export function checkReplay({ bridge }: CheckContext): void {
  const recorded = bridge.connect().establish().client.sentBytes;
  for (const chunking of [recorded.length, 1]) {
    const { server } = bridge.connect();
    server.start();
    for (let at = 0; at < recorded.length; at += chunking) {
      server.receive(recorded.subarray(at, at + chunking));
    }
    demand(!server.established, 'the server took a recorded handshake a second time');
    demand(server.sent.length === 0, 'the server answered a recorded handshake');
    demand(server.failure?.type === 'rejected', 'the server did not answer `rejected` to a replay');
  }
}

/** What the client sends before the server has said anything. */
function clientHello(bridge: TestedBridge): Buffer {
  const { client } = bridge.connect();
  client.start();
  const hello = client.sentBytes;
  if (hello.length === 0) throw new NotApplicable('its client does not speak first');
  return hello;
}

/** Names, and arguments that are wrong. */
export async function checkArguments(context: CheckContext): Promise<void> {
  const { transport, setup, wrongArguments, wrongOptions } = context;
  demand(isTransportName(transport.name), 'the name is no C identifier');
  demand(/^[^\n]+$/.test(transport.summary), 'the summary is not one line');
  const { rng, clock } = setup;
  for (const args of wrongArguments) {
    let error: unknown;
    try {
      transport.client(args, { rng, clock });
    } catch (thrown) {
      error = thrown;
    }
    demandArgumentError(error, args, 'client');
  }
  for (const options of wrongOptions) {
    let error: unknown;
    try {
      await TestedBridge.start(transport, { ...setup, serverOptions: options });
    } catch (thrown) {
      error = thrown;
    }
    demandArgumentError(error, options, 'server');
  }
}

function demandArgumentError(error: unknown, pairs: KeyValues, side: string): void {
  const keys = pairs.length === 0 ? 'no arguments' : pairs.map(([key]) => key).join(', ');
  demand(error !== undefined, `the ${side} took wrong arguments (${keys})`);
  demand(
    error instanceof PosternError && error.code === 'ERR_TRANSPORT_ARGUMENT',
    `the ${side} did not throw ERR_TRANSPORT_ARGUMENT for wrong arguments (${keys})`,
  );
  const leaked = pairs.find(([, value]) => value.length >= 8 && error.message.includes(value));
  demand(leaked === undefined, `the ${side}’s error quotes the value of ${leaked?.[0]}`);
}

/** What is lent is not kept, and what is handed over is not used again. */
export function checkOwnership({ bridge, setup }: CheckContext): void {
  const pair = bridge.connect({
    overwriteLent: true,
    chunking: (waiting) => Math.min(waiting, 700),
  });
  const snapshots: (readonly [string, Uint8Array, Buffer])[] = [];
  const remember = (): void => {
    for (const { name, sent, delivered } of [pair.client, pair.server]) {
      for (const [what, list] of [
        ['sent', sent],
        ['delivered', delivered],
      ] as const) {
        for (const bytes of list) {
          if (snapshots.some(([, known]) => known === bytes)) continue;
          // Its first owner may have given it back.
          const isShared =
            isTight(bytes) && snapshots.some((known) => known[1].buffer === bytes.buffer);
          demand(!isShared, `memory that the ${name} ${what} was ${what} before`);
          snapshots.push([`${name} ${what}`, bytes, Buffer.from(bytes)]);
        }
      }
    }
  };
  pair.establish();
  remember();
  const written: Buffer[] = [];
  for (let count = 0; count < 5; count += 1) {
    const bytes = randomBytes(setup.rng, 5000);
    written.push(bytes);
    for (const end of [pair.client, pair.server]) {
      pair.write(end, bytes);
      remember();
    }
  }
  for (const [what, bytes, copy] of snapshots) {
    demand(copy.equals(bytes), `bytes that the ${what} were changed afterwards`);
  }
  const all = Buffer.concat(written);
  demandDelivered(pair.server, all, 'with lent chunks overwritten after each call');
  demandDelivered(pair.client, all, 'with lent chunks overwritten after each call');
}

/** Random bytes both ways at once, in writes and chunks of random length. */
export function checkTransfer({ bridge, setup, transferBytes }: CheckContext): void {
  const { rng } = setup;
  const pair = bridge.connect({ chunking: randomChunks(rng, 65_536) }).establish();
  const moved = { client: 0, server: 0 };
  while (moved.client < transferBytes || moved.server < transferBytes) {
    for (const [from, to] of [
      [pair.client, pair.server],
      [pair.server, pair.client],
    ] as const) {
      const count = Math.min(randomInteger(rng, 1, 65_536), transferBytes - moved[from.name]);
      if (count === 0) continue;
      const bytes = randomBytes(rng, count);
      pair.write(from, bytes);
      demandDelivered(to, bytes, `behind byte ${moved[from.name]}`);
      moved[from.name] += count;
      // Compared and dropped: a large transfer would otherwise stay in memory.
      to.delivered.length = 0;
    }
  }
}
