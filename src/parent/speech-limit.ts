import { limits } from '../limits.ts';

/** Limits how many lines of a child are heard in a second, and knows for how long it has been saying more. */
export class SpeechLimit {
  #secondStartMs = -Infinity;
  #saidInSecond = 0;
  #leftOut = 0;
  #overSinceMs: number | undefined;

  /** One more line. @returns whether it is heard */
  hear(nowMs: number): boolean {
    if (nowMs - this.#secondStartMs >= 1_000) {
      const isOver = this.#saidInSecond > limits.childLogLines;
      const isNext = nowMs - this.#secondStartMs < 2_000;
      if (!isOver || !isNext) this.#overSinceMs = undefined;
      this.#secondStartMs = nowMs;
      this.#saidInSecond = 0;
    }
    this.#saidInSecond += 1;
    if (this.#saidInSecond <= limits.childLogLines) return true;
    this.#overSinceMs ??= nowMs;
    this.#leftOut += 1;
    return false;
  }

  /** Whether it has been saying more than is heard for long. */
  isFlood(nowMs: number): boolean {
    return this.#overSinceMs !== undefined && nowMs - this.#overSinceMs >= limits.childFloodMs;
  }

  /** How many lines were left out since this was last asked. */
  takeLeftOut(): number {
    const count = this.#leftOut;
    this.#leftOut = 0;
    return count;
  }
}
