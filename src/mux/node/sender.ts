import type { Duplex } from 'node:stream';
import { lentOnly } from '../../bytes/give-back.ts';
import { PayloadStream } from '../../net/payload-stream.ts';
import type { MuxSession } from '../session.ts';
import type { MuxStreamState } from '../stream-state.ts';
import type { MuxStream } from './stream.ts';

/** What a sender is given. */
export interface SenderOptions {
  readonly session: MuxSession<MuxStream>;
  /** Told of what has gone out. @returns how long the next has to wait, in milliseconds */
  readonly onWrite: (bytes: number) => number;
  readonly after: (delayMs: number, callback: () => void) => void;
}

/**
 * How frames leave a connection: what many streams say in one turn of the event loop goes out in one write.
 * While the connection takes no more, nothing is asked of the session.
 */
export class Sender {
  readonly #inner: Duplex;
  readonly #options: SenderOptions;
  /** What is gathered; nothing between turns. */
  #burst: Buffer | undefined;
  #length = 0;
  #isFlushDue = false;
  #isPumping = false;
  #isBlocked = false;
  #isOver = false;

  constructor(inner: Duplex, options: SenderOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  /** Takes what the session has to say, as much as there is room for. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const { session } = this.#options;
    while (session.hasOutput && !this.#isBlocked && !this.#isOver) {
      this.#burst ??= takeBurst();
      const written: MuxStreamState<MuxStream>[] = [];
      this.#length += session.produce(this.#burst, this.#length, written);
      for (const { owner } of written) owner?.written();
      // Whoever hears of it may end the connection.
      if (this.#burst === undefined) break;
      if (this.#burst.length - this.#length < ROOM_BYTES) this.#flush();
    }
    this.#isPumping = false;
    if (this.#isFlushDue || this.#length === 0) return;
    this.#isFlushDue = true;
    setImmediate(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  /** Sends no more. @returns what was gathered and has not been sent */
  stop(): Buffer {
    this.#isOver = true;
    return Buffer.from(this.#takeGathered());
  }

  #flush(): void {
    const burst = this.#burst;
    const bytes = this.#takeGathered();
    if (burst === undefined || bytes.length === 0) return;
    const delayMs = this.#options.onWrite(bytes.length);
    this.#isBlocked = true;
    this.#write(burst, bytes, () => {
      if (delayMs > 0) this.#options.after(delayMs, () => this.#goOn());
      else this.#goOn();
    });
  }

  #write(burst: Buffer, bytes: Buffer, goOn: () => void): void {
    if (this.#inner instanceof PayloadStream) {
      const isReady = this.#inner.send(bytes, goOn);
      returnBurst(burst);
      if (isReady) goOn();
      return;
    }
    // In another turn: a link with much to send is not to keep the others from theirs.
    if (bytes.length >= SMALL_BYTES) {
      this.#inner.write(bytes, () => {
        returnBurst(burst);
        setImmediate(goOn);
      });
      return;
    }
    // A large buffer is not kept waiting for a few bytes.
    this.#inner.write(Buffer.from(bytes), () => setImmediate(goOn));
    returnBurst(burst);
  }

  #goOn(): void {
    this.#isBlocked = false;
    this.pump();
  }

  #takeGathered(): Buffer {
    const bytes = this.#burst?.subarray(0, this.#length) ?? NOTHING;
    this.#burst = undefined;
    this.#length = 0;
    return bytes;
  }
}

const NOTHING = Buffer.alloc(0);

/**
 * What a burst has room for: all that a socket gives at once, its frames' headers, and a few frames without
 * payload. Disguised it stays below the 128 KiB from which on malloc asks the system for new pages each time.
 */
const BURST_BYTES = 124_928;

/** With less room than this a burst is full. */
const ROOM_BYTES = 4096;

/** Below this a burst is copied, and its buffer is free at once. */
const SMALL_BYTES = 4096;

/** Buffers that no link is using. */
const bursts: Buffer[] = [];
const MAX_SPARE_BURSTS = 8;

function takeBurst(): Buffer {
  return bursts.pop() ?? lentOnly(Buffer.allocUnsafeSlow(BURST_BYTES));
}

function returnBurst(burst: Buffer): void {
  if (bursts.length < MAX_SPARE_BURSTS) bursts.push(burst);
}
