/** A bridge as the client sees it. */
import { sha256 } from '../../crypto/hash.ts';
import type { Rng } from '../../crypto/rng.ts';
import { limits } from '../../limits.ts';
import { retryDelayMs } from '../../net/retry-delay.ts';
import type { Timers } from '../../time.ts';
import { type BridgeLine, formatBridgeLine } from '../../pt/bridge-line.ts';
import type { BridgeRoute } from './client-transports.ts';

/** One bridge: the way to it, and whether it could be reached. */
export class Bridge {
  /**
   * What events and logs call it: its fingerprint, or for a line without one as many digits of the
   * line's own hash. Never its address.
   */
  readonly name: string;
  readonly line: BridgeLine;
  readonly route: BridgeRoute;
  /** Whether it has left the configuration; what still goes through it goes on to its end. */
  isRetired = false;
  readonly #timers: Timers;
  readonly #rng: Rng;
  #wasReached = false;
  #failuresInRow = 0;
  #failures = 0;
  #cancelRetry: (() => void) | undefined;
  #lastError: unknown;

  constructor(line: BridgeLine, route: BridgeRoute, timers: Timers, rng: Rng) {
    this.line = line;
    this.route = route;
    this.#timers = timers;
    this.#rng = rng;
    this.name = line.fingerprint ?? digestOf(line);
  }

  /** Whether circuits may lead through it: it has not failed, or has been reached since. */
  get isUp(): boolean {
    return this.#cancelRetry === undefined;
  }

  /** How often it has failed in all. */
  get failures(): number {
    return this.#failures;
  }

  /** Why the last failed attempt failed. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Whether it has ever been reached. */
  get wasReached(): boolean {
    return this.#wasReached;
  }

  /** It was reached. */
  succeed(): void {
    this.#wasReached = true;
    this.#failuresInRow = 0;
    this.forget();
  }

  /** It could not be reached: no circuit uses it until `retry` has been called and has succeeded. */
  fail(error: unknown, retry: () => void): void {
    this.#lastError = error;
    this.#failures += 1;
    this.#failuresInRow += 1;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#timers.after(this.#delayMs(), retry);
  }

  /** Leaves it alone. */
  forget(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  #delayMs(): number {
    const failures = this.#failuresInRow;
    return retryDelayMs(failures, limits.bridgeRetryMs, limits.bridgeRetryMaxMs, this.#rng);
  }
}

function digestOf(line: BridgeLine): string {
  return sha256(Buffer.from(formatBridgeLine(line)))
    .toString('hex')
    .slice(0, 40)
    .toUpperCase();
}
