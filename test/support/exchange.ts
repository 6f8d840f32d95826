/** An exchange of bytes in both directions at once, each compared by SHA-256. */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { demoBytes } from '../../src/cli/demo-bytes.ts';

const COUNT_BYTES = 8;
const DIGEST_BYTES = 32;

const GREETING_BYTES = 1;

/** Who speaks first on a connection: the near end, or the far one with a greeting. */
export type FirstSpeaker = 'near' | 'far';

/**
 * The far end: reads how many bytes it is about, sends and takes as many, then says the digests of what
 * it got and of what it sent.
 */
export async function serveExchange(stream: Duplex, first: FirstSpeaker = 'near'): Promise<void> {
  try {
    if (first === 'far') stream.write(Buffer.alloc(GREETING_BYTES));
    const count = Number((await readBytes(stream, COUNT_BYTES)).readBigUInt64BE());
    const [received, sent] = await Promise.all([receive(stream, count), send(stream, count)]);
    stream.end(Buffer.concat([received, sent]));
  } catch {
    stream.destroy(); // the near end says what was wrong
  }
}

/**
 * The near end.
 *
 * @throws Error when one of the directions did not bring what was sent
 */
export async function exchange(
  stream: Duplex,
  count: number,
  first: FirstSpeaker = 'near',
): Promise<void> {
  stream.on('error', () => {}); // 'close' tells us
  if (first === 'far') await readBytes(stream, GREETING_BYTES);
  const request = Buffer.alloc(COUNT_BYTES);
  request.writeBigUInt64BE(BigInt(count));
  stream.write(request);
  const [received, sent] = await Promise.all([receive(stream, count), send(stream, count)]);
  const digests = await readBytes(stream, 2 * DIGEST_BYTES);
  stream.destroy();
  if (!digests.subarray(0, DIGEST_BYTES).equals(sent)) throw new Error('what went up is damaged');
  if (!digests.subarray(DIGEST_BYTES).equals(received)) {
    throw new Error('what came down is damaged');
  }
}

async function send(stream: Duplex, count: number): Promise<Buffer> {
  const digest = createHash('sha256');
  for (const chunk of demoBytes(count)) {
    digest.update(chunk);
    if (!stream.write(chunk)) await drained(stream);
  }
  return digest.digest();
}

async function receive(stream: Duplex, count: number): Promise<Buffer> {
  const digest = createHash('sha256');
  await take(stream, count, (chunk) => void digest.update(chunk));
  return digest.digest();
}

async function readBytes(stream: Duplex, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await take(stream, count, (chunk) => void chunks.push(chunk));
  return Buffer.concat(chunks);
}

/** Takes exactly `count` bytes off the stream, and rejects when it ends before. */
function take(stream: Duplex, count: number, onChunk: (chunk: Buffer) => void): Promise<void> {
  let left = count;
  return settledBy(stream, (resolve) => {
    const onData = (chunk: Buffer): void => {
      onChunk(chunk.subarray(0, left));
      left -= chunk.length;
      if (left > 0) return;
      stream.pause().off('data', onData);
      if (left < 0) stream.unshift(chunk.subarray(left));
      resolve();
    };
    stream.on('data', onData).resume();
  });
}

function drained(stream: Duplex): Promise<void> {
  return settledBy(stream, (resolve) => void stream.once('drain', resolve));
}

/** A promise that rejects when the stream ends or closes before it has resolved. */
function settledBy(stream: Duplex, start: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onEnd = (): void => finish(() => reject(new Error('the connection ended early')));
    const finish = (settle: () => void): void => {
      stream.off('close', onEnd).off('end', onEnd);
      settle();
    };
    stream.once('close', onEnd).once('end', onEnd);
    if (stream.destroyed) onEnd();
    else start(() => finish(resolve));
  });
}
