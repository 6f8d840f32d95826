/** Two sessions with a wire between them, in memory: nothing moves until it is told to. */
import { randomInteger, type Rng } from '../../crypto/rng.ts';
import type { PosternError } from '../../errors.ts';
import type { Action, Session } from '../contract.ts';

/** A rule of the contract that a session broke; the message says which. */
export class Violation extends Error {
  override readonly name: string = 'Violation';
}

/** How the wire cuts a direction: how many of the waiting bytes come next, when so many have come already. */
export type Chunking = (waiting: number, passed: number) => number;

/** All that waits comes in one chunk: the last byte of a handshake together with the first payload. */
export const coalesced: Chunking = (waiting) => waiting;
export const byteByByte: Chunking = () => 1;
/** All that waits, but with a cut after the first `point` bytes of the direction. */
export function splitAt(point: number): Chunking {
  return (waiting, passed) => (passed < point ? point - passed : waiting);
}
/** Chunks of random length, up to `maximum` bytes. */
export function randomChunks(rng: Rng, maximum: number): Chunking {
  return (waiting) => randomInteger(rng, 1, Math.min(waiting, maximum));
}

/** How a pair treats its sessions. */
export interface PairOptions {
  readonly chunking?: Chunking;
  /** What each end's application writes at the moment when its handshake is done. */
  readonly writeWhenEstablished?: Uint8Array;
  /** Whether lent chunks are overwritten after the call, as a socket's pooled buffers are; true by default. */
  readonly overwriteLent?: boolean;
}

/** One end of a pair. */
export class SessionEnd {
  readonly name: 'client' | 'server';
  readonly session: Session;
  established = false;
  deliveredEnd = false;
  sentEnd = false;
  /** How the session ended, when it did so in an error. */
  failure: { readonly type: 'failed' | 'rejected'; readonly error: PosternError } | undefined;
  /** The delay of the timer that runs, if one does. */
  timerMs: number | undefined;
  /** What the application was given, and what was put on the wire, in order. */
  readonly delivered: Uint8Array[] = [];
  readonly sent: Uint8Array[] = [];
  readonly #options: PairOptions;

  constructor(name: 'client' | 'server', session: Session, options: PairOptions = {}) {
    this.name = name;
    this.session = session;
    this.#options = options;
  }

  get deliveredBytes(): Buffer {
    return Buffer.concat(this.delivered);
  }

  get sentBytes(): Buffer {
    return Buffer.concat(this.sent);
  }

  /** Whether anything may still be asked of the session. */
  get isLive(): boolean {
    return this.failure === undefined;
  }

  start(): void {
    this.#tell('start', () => this.session.start());
  }

  receive(bytes: Uint8Array): void {
    this.#lend('receive', bytes, (chunk) => this.session.receive(chunk));
  }

  write(bytes: Uint8Array): void {
    this.#lend('write', bytes, (chunk) => this.session.write(chunk));
  }

  writeEnd(): void {
    this.#tell('writeEnd', () => this.session.writeEnd());
  }

  receiveEnd(): void {
    this.#tell('receiveEnd', () => this.session.receiveEnd());
  }

  fireTimer(): void {
    this.timerMs = undefined;
    this.#tell('timerFired', () => this.session.timerFired());
  }

  #lend(what: string, bytes: Uint8Array, call: (chunk: Uint8Array) => readonly Action[]): void {
    const chunk = Buffer.from(bytes);
    this.#tell(what, () => {
      const actions = call(chunk);
      if (this.#options.overwriteLent !== false) chunk.fill(0xaa);
      return actions;
    });
  }

  #tell(what: string, call: () => readonly Action[]): void {
    if (!this.isLive) return;
    let actions: readonly Action[];
    try {
      actions = call();
    } catch (error) {
      throw new Violation(`the ${this.name}’s ${what} threw: ${String(error)}`);
    }
    for (const action of actions) this.#perform(action);
  }

  #perform(action: Action): void {
    if (!this.isLive) this.#violated(`${action.type} after it was over`);
    switch (action.type) {
      case 'send':
        if (this.sentEnd) this.#violated('send after sendEnd');
        this.sent.push(action.bytes);
        break;
      case 'sendEnd':
        this.sentEnd = true;
        break;
      case 'deliver':
        if (!this.established) this.#violated('deliver before established');
        if (this.deliveredEnd) this.#violated('deliver after deliverEnd');
        if (action.bytes.length === 0) this.#violated('deliver of nothing');
        this.delivered.push(action.bytes);
        break;
      case 'deliverEnd':
        if (!this.established) this.#violated('deliverEnd before established');
        if (this.deliveredEnd) this.#violated('deliverEnd twice');
        this.deliveredEnd = true;
        break;
      case 'established':
        if (this.established) this.#violated('established twice');
        this.established = true;
        if (this.#options.writeWhenEstablished !== undefined) {
          this.write(this.#options.writeWhenEstablished);
        }
        break;
      case 'compute': {
        let result: readonly Action[] | undefined;
        while (result === undefined) result = action.step();
        for (const next of result) this.#perform(next);
        break;
      }
      case 'setTimer':
        if (!(action.delayMs >= 0)) this.#violated('setTimer without a time');
        this.timerMs = action.delayMs;
        break;
      case 'clearTimer':
        this.timerMs = undefined;
        break;
      case 'rejected':
        if (this.name === 'client') this.#violated('rejected, which is for servers');
        this.failure = action;
        break;
      case 'failed':
        this.failure = action;
        break;
    }
  }

  #violated(what: string): never {
    throw new Violation(`the ${this.name} answered with ${what}`);
  }
}

/** A client's session, a server's, and the bytes between them. */
export class SessionPair {
  readonly client: SessionEnd;
  readonly server: SessionEnd;
  readonly #chunking: Chunking;
  /** For each end, how much of what it sent has come to the other: writes, bytes of the next one. */
  readonly #carried = new Map<
    SessionEnd,
    { index: number; offset: number; passed: number; ended: boolean }
  >();

  constructor(client: Session, server: Session, options: PairOptions = {}) {
    this.client = new SessionEnd('client', client, options);
    this.server = new SessionEnd('server', server, options);
    this.#chunking = options.chunking ?? coalesced;
  }

  /** The TCP connection is there; then until all is quiet. */
  open(): this {
    this.server.start();
    this.client.start();
    return this.settle();
  }

  /** As `open`. @throws Violation when the handshake does not come to its end */
  establish(): this {
    this.open();
    const ends = [this.client, this.server];
    for (const { name, failure } of ends) {
      if (failure === undefined) continue;
      throw new Violation(`the ${name} refused the handshake: ${failure.error.message}`);
    }
    for (const { name, established } of ends) {
      if (!established) throw new Violation(`the ${name}’s handshake never ended`);
    }
    return this;
  }

  /** One end's application writes; then until all is quiet. */
  write(from: SessionEnd, bytes: Uint8Array): this {
    from.write(bytes);
    return this.settle();
  }

  /** One end's application will write no more; then until all is quiet. */
  writeEnd(from: SessionEnd): this {
    from.writeEnd();
    return this.settle();
  }

  /** Carries bytes and ends, and fires the timers of those that hold bytes back, until all is quiet. */
  settle(): this {
    while (
      this.#carry(this.client, this.server) ||
      this.#carry(this.server, this.client) ||
      this.#release(this.client) ||
      this.#release(this.server)
    );
    return this;
  }

  /** Whether something has moved. */
  #carry(from: SessionEnd, to: SessionEnd): boolean {
    const at = this.#carried.get(from) ?? { index: 0, offset: 0, passed: 0, ended: false };
    this.#carried.set(from, at);
    if (!to.isLive) return false;
    if (at.index < from.sent.length) {
      const waiting = Buffer.concat([
        from.sent[at.index]!.subarray(at.offset),
        ...from.sent.slice(at.index + 1),
      ]);
      const count = Math.min(this.#chunking(waiting.length, at.passed), waiting.length);
      const chunk = waiting.subarray(0, count);
      at.passed += count;
      for (let left = count; at.index < from.sent.length;) {
        const rest = from.sent[at.index]!.length - at.offset;
        if (left < rest) {
          at.offset += left;
          break;
        }
        left -= rest;
        at.index += 1;
        at.offset = 0;
      }
      if (chunk.length > 0) to.receive(chunk);
      return true;
    }
    if (!from.sentEnd || at.ended) return false;
    at.ended = true;
    to.receiveEnd();
    return true;
  }

  #release(end: SessionEnd): boolean {
    if (!end.isLive || end.session.queuedBytes === 0 || end.timerMs === undefined) return false;
    end.fireTimer();
    return true;
  }
}
