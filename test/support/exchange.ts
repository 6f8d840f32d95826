/** An exchange of bytes in both directions at once, each compared by SHA-256. */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { demoBytes } from '../../src/cli/demo/bytes.ts';

const COUNT_BYTES = 8;
const DIGEST_BYTES = 32;

/** Said by a far end that speaks first, until the near end is heard; and then once. */
const [GREETING, HEARD] = [0, 1];
/**
 * obfs4proxy's client does not look at what came together with the bridge's handshake until more comes:
 * one greeting alone may never get through.
 */
const GREETING_INTERVAL_MS = 100;

/** Who speaks first on a connection: the near end, or the far one with greetings. */
export type FirstSpeaker = 'near' | 'far';

/**
 * The far end: reads how many bytes it is about, sends and takes as many, then says the digests of what
 * it got and of what it sent.
 */
export async function serveExchange(stream: Duplex, first: FirstSpeaker = 'near'): Promise<void> {
  try {
    const count = await (first === 'far' ? greet(stream) : readCount(stream));
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
  if (first === 'far') await readBytes(stream, 1);
  const request = Buffer.alloc(COUNT_BYTES);
  request.writeBigUInt64BE(BigInt(count));
  stream.write(request);
  if (first === 'far') while ((await readBytes(stream, 1))[0] !== HEARD);
  const [received, sent] = await Promise.all([receive(stream, count), send(stream, count)]);
  const digests = await readBytes(stream, 2 * DIGEST_BYTES);
  stream.destroy();
  if (!digests.subarray(0, DIGEST_BYTES).equals(sent)) throw new Error('what went up is damaged');
  if (!digests.subarray(DIGEST_BYTES).equals(received)) {
    throw new Error('what came down is damaged');
  }
}

async function greet(stream: Duplex): Promise<number> {
  const greeting = setInterval(() => stream.write(Buffer.of(GREETING)), GREETING_INTERVAL_MS);
  try {
    stream.write(Buffer.of(GREETING));
    const count = await readCount(stream);
    stream.write(Buffer.of(HEARD));
    return count;
  } finally {
    clearInterval(greeting);
  }
}

async function readCount(stream: Duplex): Promise<number> {
  return Number((await readBytes(stream, COUNT_BYTES)).readBigUInt64BE());
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
