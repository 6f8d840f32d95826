import type { PosternError } from '../../src/errors.ts';
import type { Action, Session } from '../../src/transports/contract.ts';
import { computeAll } from './feed.ts';
import type { Rng } from '../../src/crypto/rng.ts';
import { randomInteger } from '../../src/crypto/rng.ts';

/**
 * How the wire cuts the bytes of a direction into chunks: how many of the waiting ones come next,
 * when so many have come already.
 */
export type Chunking = (waiting: number, passed: number) => number;

/** All that waits comes in one chunk: the last byte of a handshake together with the first data. */
export const coalesced: Chunking = (waiting) => waiting;
/** Byte by byte. */
export const byteByByte: Chunking = () => 1;
/** All that waits, but with a cut after the first `point` bytes of the direction. */
export function splitAt(point: number): Chunking {
  return (waiting, passed) => (passed < point ? Math.min(point - passed, waiting) : waiting);
}
/** Chunks of random length, up to `maximum` bytes. */
export function randomChunks(rng: Rng, maximum: number): Chunking {
  return (waiting) => Math.min(waiting, randomInteger(rng, 1, maximum));
}

/** One end of a pair: what its session has asked of its driver. */
export class SessionEnd {
  readonly session: Session;
  readonly sent: Buffer[] = [];
  #delivered: Buffer[] = [];
  established = false;
  deliveredEnd = false;
  sentEnd = false;
  /** The delay of the timer that runs, if one does. */
  timerMs: number | undefined;
  /** How the session ended, when it did so in an error. */
  failure: { readonly type: 'failed' | 'rejected'; readonly error: PosternError } | undefined;
  /** Bytes on the wire towards the other end. */
  #wire: Buffer = Buffer.alloc(0);
  #passed = 0;

  constructor(session: Session) {
    this.session = session;
  }

  /** All bytes that the application was given, in order. */
  get delivered(): Buffer {
    return Buffer.concat(this.#delivered);
  }

  /** How many bytes wait on the wire. */
  get onWire(): number {
    return this.#wire.length;
  }

  /** The next chunk of what waits on the wire. */
  takeChunk(chunking: Chunking): Buffer {
    const count = chunking(this.#wire.length, this.#passed);
    const chunk = Buffer.from(this.#wire.subarray(0, count));
    this.#wire = this.#wire.subarray(count);
    this.#passed += count;
    return chunk;
  }

  /** Does what a driver would do. */
  perform(actions: readonly Action[]): void {
    for (const action of actions) {
      if (this.failure !== undefined) throw new Error(`${action.type} after ${this.failure.type}`);
      switch (action.type) {
        case 'send':
          if (this.sentEnd) throw new Error('send after sendEnd');
          this.sent.push(Buffer.from(action.bytes));
          this.#wire = Buffer.concat([this.#wire, action.bytes]);
          break;
        case 'sendEnd':
          this.sentEnd = true;
          break;
        case 'deliver':
          if (!this.established || this.deliveredEnd) throw new Error('deliver out of turn');
          if (action.bytes.length === 0) throw new Error('deliver of nothing');
          this.#delivered.push(Buffer.from(action.bytes));
          break;
        case 'deliverEnd':
          if (this.deliveredEnd) throw new Error('deliverEnd twice');
          this.deliveredEnd = true;
          break;
        case 'established':
          if (this.established) throw new Error('established twice');
          this.established = true;
          break;
        case 'compute':
          this.perform(computeAll([action]));
          break;
        case 'setTimer':
          this.timerMs = action.delayMs;
          break;
        case 'clearTimer':
          this.timerMs = undefined;
          break;
        case 'failed':
        case 'rejected':
          this.failure = action;
          break;
      }
    }
  }
}

/** Two sessions with a wire between them that cuts as it is told; nothing happens by itself. */
export class SessionPair {
  readonly client: SessionEnd;
  readonly server: SessionEnd;
  readonly #chunking: Chunking;
  readonly #ended = new Set<SessionEnd>();

  constructor(client: Session, server: Session, chunking: Chunking = coalesced) {
    this.client = new SessionEnd(client);
    this.server = new SessionEnd(server);
    this.#chunking = chunking;
  }

  /** The TCP connection is there, on both ends; then until all is quiet. */
  start(): this {
    this.server.perform(this.server.session.start());
    this.client.perform(this.client.session.start());
    return this.settle();
  }

  /** One end's application writes; then until all is quiet. */
  write(end: SessionEnd, bytes: Uint8Array): this {
    const lent = Uint8Array.from(bytes);
    end.perform(end.session.write(lent));
    lent.fill(0xaa); // it was borrowed
    return this.settle();
  }

  /** One end's application will write no more; then until all is quiet. */
  writeEnd(end: SessionEnd): this {
    end.perform(end.session.writeEnd());
    return this.settle();
  }

  /** One end's timer runs out; then until all is quiet. */
  fireTimer(end: SessionEnd): this {
    if (end.timerMs === undefined) throw new Error('no timer runs');
    end.timerMs = undefined;
    end.perform(end.session.timerFired());
    return this.settle();
  }

  /** Carries bytes and ends over the wire, and fires the timers of queued bytes, until all is quiet. */
  settle(): this {
    while (
      this.#carry(this.client, this.server) ||
      this.#carry(this.server, this.client) ||
      this.#fireQueued(this.client) ||
      this.#fireQueued(this.server)
    );
    return this;
  }

  /** Whether something moved from one end to the other. */
  #carry(from: SessionEnd, to: SessionEnd): boolean {
    if (to.failure !== undefined) return false;
    if (from.onWire > 0) {
      const chunk = from.takeChunk(this.#chunking);
      to.perform(to.session.receive(chunk));
      chunk.fill(0xaa); // it was borrowed
      return true;
    }
    if (!from.sentEnd || this.#ended.has(from)) return false;
    this.#ended.add(from);
    to.perform(to.session.receiveEnd());
    return true;
  }

  #fireQueued(end: SessionEnd): boolean {
    if (end.session.queuedBytes === 0 || end.timerMs === undefined) return false;
    end.timerMs = undefined;
    end.perform(end.session.timerFired());
    return true;
  }
}
