import { limits } from '../limits.ts';
import { protocolError } from './decode.ts';

/**
 * Counts what a peer makes us do for nothing: pings, empty frames, streams that are opened and taken
 * back. Some of it comes from every honest peer; a flood of it is an attack, and costs the session.
 */
export class Strikes {
  readonly #now: () => number;
  #count = 0;
  #atMs: number;

  /** @param now milliseconds that only ever grow */
  constructor(now: () => number) {
    this.#now = now;
    this.#atMs = now();
  }

  /** @throws PosternError `ERR_MUX_PROTOCOL` when there are too many */
  add(count = 1): void {
    this.#count += count;
    if (this.#count <= limits.muxStrikes) return;
    const nowMs = this.#now();
    const forgiven = Math.floor(((nowMs - this.#atMs) * limits.muxStrikesPerSecond) / 1000);
    this.#count = Math.max(this.#count - forgiven, count);
    this.#atMs = nowMs;
    if (this.#count > limits.muxStrikes) {
      throw protocolError('the far end floods the link with frames that do nothing');
    }
  }
}
