/** Our end of yamux for interoperability tests: echoes, or asks an echo whether all comes back. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { ByteBudget } from '../../src/bytes/budget.ts';
import { MuxConnection } from '../../src/mux/node/connection.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { keyStreamRng } from './rng.ts';
import { dial, echo, listen } from './sockets.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** How much an interoperability test asks for, each way. */
export interface EchoLoad {
  /** On the first stream, alone. */
  readonly bytes: number;
  /** At once, with a little on each. */
  readonly streams: number;
}

/** What has to work with an implementation that we did not write. */
export const wholeLoad: EchoLoad = { bytes: 64_000_000, streams: 1000 };

/** Echoes each stream of each connection until the test has ended. */
export async function serveYamuxEcho(t: Cleanup): Promise<Endpoint> {
  const { endpoint } = await listen(t, (socket) => {
    const budget = new ByteBudget(Infinity);
    new MuxConnection(socket, { role: 'server', budget, onStream: echo });
  });
  return endpoint;
}

/** Asks an echo for everything, and then ends the connection. */
export async function askYamuxEcho(server: Endpoint, load: EchoLoad): Promise<void> {
  const budget = new ByteBudget(Infinity);
  const link = new MuxConnection(await dial(server), { role: 'client', budget });
  const ask = async (index: number, byteCount: number): Promise<void> => {
    const { sent, expected } = payload(index, byteCount);
    const stream = await link.open();
    const received = hash(stream);
    for (const chunk of sent) {
      if (!stream.write(chunk)) await new Promise((resolve) => stream.once('drain', resolve));
    }
    stream.end();
    assert.equal(await received, expected, `stream ${index} brought something else back`);
  };
  await ask(0, load.bytes);
  await Promise.all(
    Array.from({ length: load.streams }, (_, index) => ask(index + 1, 1 + ((index * 7) % 4096))),
  );
  assert.equal(budget.heldBytes, 0);
  link.drain();
  assert.equal(await link.closed, undefined);
}

/** Pseudo-random chunks, and the SHA-256 of all of them. */
export function payload(
  seed: number,
  byteCount: number,
): { readonly sent: readonly Buffer[]; readonly expected: string } {
  const rng = keyStreamRng(seed);
  const sent: Buffer[] = [];
  const sum = createHash('sha256');
  for (let left = byteCount; left > 0; left -= CHUNK_BYTES) {
    const chunk = Buffer.alloc(Math.min(left, CHUNK_BYTES));
    rng.fill(chunk);
    sum.update(chunk);
    sent.push(chunk);
  }
  return { sent, expected: sum.digest('hex') };
}

/** The SHA-256 of all that comes until the stream's end. */
async function hash(stream: Duplex): Promise<string> {
  const sum = createHash('sha256');
  for await (const chunk of stream) sum.update(chunk as Buffer);
  return sum.digest('hex');
}

const CHUNK_BYTES = 1 << 20;
