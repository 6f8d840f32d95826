/**
 * Keeps a program running: starts it again when it ends unasked, later each time, and gives up with a
 * reason when that does not help.
 */
import { Recurring } from '../bytes/recurring.ts';
import { systemRng, type Rng } from '../crypto/rng.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { retryDelayMs } from '../net/retry-delay.ts';
import { ChildError, type ChildEnd } from './child-error.ts';
import { systemTimers, type Timers } from '../time.ts';
import { unawaited } from '../unawaited.ts';

/** A program that runs: a `Child` of `launch`, or anything else that ends and can be stopped. */
export interface Supervised {
  /** Resolves when the process is gone, with how it ended; never rejects. */
  readonly closed: Promise<ChildEnd>;
  /** Stops it. Idempotent. */
  close(): Promise<unknown>;
  /** Kills it now. */
  abort?(): void;
}

/** How to start the program, and how long to keep trying. */
export interface SuperviseOptions<C extends Supervised> {
  /** Starts the program once: `(signal) => launch({ …, signal })`. */
  readonly start: (signal: AbortSignal) => Promise<C>;
  /** The wait before the second start; it doubles with each further failure. */
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
  /** A child that ran for so long was healthy: its end counts as the first failure. */
  readonly stableMs?: number;
  /** How many failures in a row end the supervision. */
  readonly maxFailures?: number;
  /** Hears how the child fares. What it throws is a warning of the process and changes nothing. */
  readonly onEvent?: (event: SupervisorEvent<C>) => void;
  readonly timers?: Timers;
  readonly rng?: Rng;
}

/** News of a supervised program. */
export type SupervisorEvent<C extends Supervised> =
  | { readonly type: 'running'; readonly child: C }
  /** A start failed, or the program ended unasked; the next start is due after `delayMs`. */
  | { readonly type: 'waiting'; readonly error: unknown; readonly delayMs: number }
  /** There will be no further start. */
  | { readonly type: 'gaveUp'; readonly error: unknown };

/** A program under supervision. */
export interface Supervisor<C extends Supervised> {
  /**
   * The running child; waits for one while it is being started.
   *
   * @throws what the supervision gave up with, or PosternError `ERR_PARENT_CLOSED`
   */
  child(): Promise<C>;
  /** Resolves when it is all over, with the error it gave up with, or undefined after `close`. */
  readonly closed: Promise<unknown>;
  /** Stops the child and the supervision. Idempotent. */
  close(): Promise<void>;
  /** `close`, which kills a child that can be killed and waits for nothing. */
  abort(): void;
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts the program and keeps it running. */
export function supervise<C extends Supervised>(options: SuperviseOptions<C>): Supervisor<C> {
  return new Supervision(options);
}

class Supervision<C extends Supervised> implements Supervisor<C> {
  readonly closed: Promise<unknown>;
  readonly #options: SuperviseOptions<C>;
  readonly #timers: Timers;
  readonly #stop = new AbortController();
  readonly #child = new Recurring<C>();

  constructor(options: SuperviseOptions<C>) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.closed = this.#run();
  }

  child(): Promise<C> {
    return this.#child.next();
  }

  async close(): Promise<void> {
    this.#stop.abort(new PosternError('ERR_PARENT_CLOSED', 'the supervision was closed'));
    await this.closed;
  }

  abort(): void {
    this.#child.current?.abort?.();
    unawaited(() => this.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** One turn is one life of the program: start, run, end, wait. */
  async #run(): Promise<unknown> {
    const { maxFailures = limits.childFailures } = this.#options;
    let failures = 0;
    for (;;) {
      const { error, wasStable } = await this.#live();
      if (this.#stop.signal.aborted) return this.#finish(this.#stop.signal.reason, undefined);
      failures = wasStable ? 1 : failures + 1;
      // A faulty configuration stays faulty: more starts would only fill the log.
      const isFinal = error instanceof PosternError && error.retry === 'never';
      if (isFinal || failures >= maxFailures) {
        this.#tell({ type: 'gaveUp', error });
        return this.#finish(error, error);
      }
      const delayMs = this.#delayAfter(failures);
      this.#tell({ type: 'waiting', error, delayMs });
      await this.#wait(delayMs);
      if (this.#stop.signal.aborted) return this.#finish(this.#stop.signal.reason, undefined);
    }
  }

  /** Resolves when the program has ended, or could not be started. */
  async #live(): Promise<{ readonly error: unknown; readonly wasStable: boolean }> {
    const { start, stableMs = 60_000 } = this.#options;
    let child: C;
    try {
      child = await start(this.#stop.signal);
    } catch (error) {
      return { error, wasStable: false };
    }
    let wasStable = false;
    const cancel = this.#timers.after(stableMs, () => (wasStable = true));
    const stopChild = (): void => unawaited(() => child.close());
    this.#stop.signal.addEventListener('abort', stopChild);
    if (this.#stop.signal.aborted) stopChild();
    else this.#announce(child);
    const end = await child.closed;
    this.#child.clear();
    this.#stop.signal.removeEventListener('abort', stopChild);
    cancel();
    return {
      error: new ChildError(
        'ERR_PARENT_CRASHED',
        'the program ended although nobody stopped it',
        end,
      ),
      wasStable,
    };
  }

  #announce(child: C): void {
    this.#child.set(child);
    this.#tell({ type: 'running', child });
  }

  /** A listener that throws must not keep the program from being restarted. */
  #tell(event: SupervisorEvent<C>): void {
    unawaited(() => this.#options.onEvent?.(event));
  }

  #finish(reason: unknown, error: unknown): unknown {
    this.#child.finish(reason);
    return error;
  }

  #delayAfter(failures: number): number {
    const { firstDelayMs = 1_000, maxDelayMs = 60_000, rng = systemRng } = this.#options;
    return retryDelayMs(failures, firstDelayMs, maxDelayMs, rng);
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#stop.signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#timers.after(delayMs, done);
      this.#stop.signal.addEventListener('abort', done);
    });
  }
}
