/** `iat-mode` ("inter-arrival time"): writes with a pause between any two. */
import { ByteQueue } from '../bytes/queue.ts';
import type { Action } from './contract.ts';

/** How one transport paces its writes. */
export interface Pacing {
  /** How long the next pause is. */
  sampleDelayMs(): number;
  /** How much the next write takes at most; may first put padding behind what waits. */
  nextWriteBytes(queue: ByteQueue): number;
  /** Whether the pause comes before a write, or behind it. */
  readonly pauseFirst: boolean;
}

/** The bytes that wait to be written, and the pause that runs. */
export class PacedWriter {
  readonly #pacing: Pacing;
  readonly #queue = new ByteQueue();
  #pausing = false;

  constructor(pacing: Pacing) {
    this.#pacing = pacing;
  }

  /** Bytes that wait. */
  get queuedBytes(): number {
    return this.#queue.length;
  }

  /** Puts bytes, which are copied, behind those that wait. */
  write(bytes: Uint8Array): Action[] {
    this.#queue.push(bytes);
    if (this.#pausing || this.#queue.length === 0) return [];
    return this.#pacing.pauseFirst ? this.#pause() : this.#sendNext();
  }

  /** The pause is over. */
  timerFired(): Action[] {
    this.#pausing = false;
    return this.#queue.length === 0 ? [] : this.#sendNext();
  }

  #sendNext(): Action[] {
    const bytes = this.#queue.take(this.#pacing.nextWriteBytes(this.#queue));
    const isLast = this.#pacing.pauseFirst && this.#queue.length === 0;
    return [{ type: 'send', bytes }, ...(isLast ? [] : this.#pause())];
  }

  #pause(): Action[] {
    this.#pausing = true;
    return [{ type: 'setTimer', delayMs: this.#pacing.sampleDelayMs() }];
  }
}
