/**
 * How much may pass: `burst` at once after a pause, `rate` a second on average. Bytes that have passed are
 * taken even when there are not enough; the next ones wait until the debt is paid.
 */
export class TokenBucket {
  #rate = Number.POSITIVE_INFINITY;
  #burst = Number.POSITIVE_INFINITY;
  #tokens = Number.POSITIVE_INFINITY;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** @param rate in bytes a second @param burst in bytes; the bucket begins full */
  configure(rate: number, burst: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  /** Takes so many bytes. @returns how long whoever comes next has to wait, in milliseconds */
  take(bytes: number, nowMs: number): number {
    this.#refill(nowMs);
    this.#tokens -= bytes;
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens * 1000) / this.#rate);
  }

  #refill(nowMs: number): void {
    const seconds = Math.max(nowMs - this.#atMs, 0) / 1000;
    this.#atMs = nowMs;
    if (seconds > 0) this.#tokens = Math.min(this.#tokens + seconds * this.#rate, this.#burst);
  }
}
